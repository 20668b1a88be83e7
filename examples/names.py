"""Names: a tagger with dynamic skip connections in both directions, and a CRF over the tags.

Made-up sentences, so that nothing is downloaded. A name is the same for persons, places and firms;
a cue some words before or after it tells which: "voters elected , on Monday , Jordan" is a person,
"they flew to , after a long delay , Jordan" a place. Tags are B- on a name's first word, I- on its
others, else O. The plain LSTM learns it too.

    python examples/names.py    # a minute on two cores
"""

import keras
import numpy as np
import tensorflow as tf
from dynamic_skip_lstm import CRF, DynamicSkipLSTM, PolicyGradientModel

N_TRAIN, N_TEST = 3_000, 500
UNITS, BATCH_SIZE, EPOCHS = 40, 25, 8
keras.utils.set_random_seed(0)

# ## The data

NAMES = "Jordan Lincoln Austin Chelsea Madison Florence Sydney Carter Houston Victoria".split()
CUES = {  # before a name, and after it
    "PER": (["voters elected", "she married", "the jury heard"], ["smiled", "was born in May"]),
    "LOC": (["they flew to", "we live in", "it rained in"], ["was flooded", "lies in the north"]),
    "ORG": (
        ["workers left", "he sued", "banks lent money to"],
        ["cut 300 jobs", "reported a loss"],
    ),
}
FILLERS = ["on Monday", "after a long delay", "as everybody knows", "despite the rain", "once more"]
random = np.random.default_rng(0)


def clause() -> list[tuple[str, str]]:
    """Words and their tags."""
    kind, first = random.choice(list(CUES)), random.integers(2)
    filler = f", {random.choice(FILLERS)} ,"
    name = list(random.choice(NAMES, random.integers(1, 3), replace=False))
    tagged = list(zip(name, [f"B-{kind}"] + [f"I-{kind}"] * len(name), strict=False))
    cue = [(word, "O") for word in random.choice(CUES[kind][first]).split()]
    between = [(word, "O") for word in filler.split()]
    return tagged + between + cue if first else cue + between + tagged


def sentence() -> list[tuple[str, str]]:
    """One clause or two."""
    return [*clause(), *([("while", "O"), *clause()] if random.random() < 0.5 else []), (".", "O")]


sentences = [sentence() for _ in range(N_TRAIN + N_TEST)]
print(" ".join(f"{word}/{tag}" if tag != "O" else word for word, tag in sentences[0]))

# ## As numbers
#
# Word 0 fills up shorter sentences, with -1 for its tag.

TAGS = ["O", *(f"{mark}-{kind}" for kind in CUES for mark in "BI")]
vocabulary = {w: i for i, w in enumerate(sorted({w for s in sentences for w, _ in s}), 1)}
length = max(map(len, sentences))
words, tags = np.zeros([len(sentences), length], "int32"), np.full([len(sentences), length], -1)
for i, one in enumerate(sentences):
    words[i, : len(one)] = [vocabulary[word] for word, _ in one]
    tags[i, : len(one)] = [TAGS.index(tag) for _, tag in one]
train, test = slice(N_TRAIN), slice(N_TRAIN, None)


# ## The tagger
#
# The network gives each word a score for each tag; the CRF adds scores for pairs of neighbouring
# tags, and its loss is -log p(tags) of the whole sentence. That makes it the agents' reward too:
# `PolicyGradientModel` rewards with minus the loss of each example. `scheme="BIO"` rules out what
# is no sequence of tags, such as O I-PER.


class Tagger(keras.Model):
    """Words [B, T] -> scores of the tags [B, T, N]; `crf` turns scores into tags."""

    def __init__(self, make_layer: type, **options: object) -> None:
        super().__init__()
        self.vectors = keras.layers.Embedding(len(vocabulary) + 1, 25)
        self.both = keras.layers.Bidirectional(make_layer(UNITS, return_sequences=True, **options))
        self.scores = keras.layers.Dense(len(TAGS))
        self.crf = CRF(TAGS, scheme="BIO")
        self.crf.build([None, None, len(TAGS)])

    def call(self, words: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.both(self.vectors(words), mask=words != 0, training=training)
        # Without the mask: Keras would apply it to the loss, which has one number a sentence.
        return tf.identity(self.scores(x))

    def minus_log_likelihood(self, tags: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """[B]."""
        tags = tf.cast(tags, tf.int32)
        return -self.crf.log_likelihood(scores, tf.maximum(tags, 0), mask=tags >= 0)


class RewardedTagger(Tagger, PolicyGradientModel):
    """The same, whose agents learn from its loss."""

    def __init__(self, make_layer: type, **options: object) -> None:
        super().__init__(make_layer, **options)
        self.configure_agent(entropy_weight=0.05)


def train_and_test(tagger: type, make_layer: type, **options: object) -> tuple[Tagger, float]:
    """The tagger with this layer, and its share of test names with all their tags right."""
    keras.utils.set_random_seed(0)
    model = tagger(make_layer, **options)
    model.compile(keras.optimizers.Adam(0.01), model.minus_log_likelihood)
    model.fit(words[train], tags[train], BATCH_SIZE, EPOCHS, verbose=2)
    found = model.crf(model(words[test]), mask=words[test] != 0).numpy()
    # A name is right if its tags are and the name ends there.
    right = n_names = 0
    for truth, guess in zip(tags[test], found, strict=True):
        for t in np.flatnonzero((truth > 0) & (truth % 2 == 1)):  # the B- tags
            stop = t + 1
            while stop < length and truth[stop] == truth[t] + 1:
                stop += 1
            ends = stop == length or guess[stop] != truth[t] + 1
            right += int(ends and (guess[t:stop] == truth[t:stop]).all())
            n_names += 1
    return model, right / n_names


_, of_lstm = train_and_test(Tagger, keras.layers.LSTM)
model, of_skips = train_and_test(RewardedTagger, DynamicSkipLSTM, n_actions=5, lamda=0.5)

# ## A sentence, tagged

one = words[test][:1]
found = model.crf(model(one), mask=one != 0).numpy()[0]
print(
    "\n"
    + " ".join(
        f"{word}/{TAGS[tag]}" if tag else word
        for (word, _), tag in zip(sentences[N_TRAIN], found, strict=False)
    )
)
print(f"\nLSTM          names found {of_lstm:.3f}")
print(f"dynamic skips names found {of_skips:.3f}")
