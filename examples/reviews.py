"""Reviews: an LSTM with dynamic skip connections in a text classifier, masks included.

The reviews are made up here, so that nothing is downloaded: a verdict, perhaps behind a sentence
about nothing, then more of these, so that the network has to keep it for up to fifty words. Whether
it is favourable takes two words that stand some words apart: "few will doubt that ... was superb"
is, "few will believe that ... was superb" is not.

    python examples/reviews.py    # two minutes on two cores
"""

import keras
import numpy as np
from dynamic_skip_lstm import DynamicSkipLSTM, PolicyGradientModel

N_TRAIN, N_TEST = 4_000, 1_000
UNITS, BATCH_SIZE, EPOCHS = 48, 50, 12
keras.utils.set_random_seed(0)

# ## The data

OPENINGS = [("everybody said", "nobody said"), ("few will doubt", "few will believe")]
SUBJECTS = "film story script cast music plot".split()
FILLERS = ["with its many songs", "from the second hour on", "on a small screen", "after all"]
WORDS_OF_PRAISE = "wonderful moving brilliant charming superb witty".split()
WORDS_OF_BLAME = "awful boring clumsy tedious dull shallow".split()
NEUTRAL = [
    "it runs for two hours",
    "we sat in the last row",
    "the hero is a teacher from the south",
]
random = np.random.default_rng(0)


def review() -> tuple[str, int]:
    """A text, and 1 if it is favourable."""
    denied, praise = random.random() < 0.3, random.random() < 0.5
    filler = " ".join(random.permutation(FILLERS)[: random.integers(1, 4)])
    verdict = f"{random.choice(OPENINGS)[int(denied)]} that the {random.choice(SUBJECTS)} {filler}"
    verdict += f" was {random.choice(WORDS_OF_PRAISE if praise else WORDS_OF_BLAME)}"
    before, after = random.integers(2), random.integers(3, 8)
    around = list(random.choice(NEUTRAL, before + after))
    return " . ".join([*around[:before], verdict, *around[before:]]), int(praise != denied)


texts, labels = zip(*(review() for _ in range(N_TRAIN + N_TEST)), strict=True)
labels = np.array(labels)
print(f"favourable: {bool(labels[0])}: {texts[0]}")

# ## Words as numbers
#
# 0 fills up shorter texts. `mask_zero` has the layers pass over it: a distance counts words, not
# places.

split = keras.layers.TextVectorization(standardize=None)
split.adapt(texts[:N_TRAIN])
words = split(np.array(texts)).numpy()
train, test = slice(N_TRAIN), slice(N_TRAIN, None)

# ## The models
#
# The same network twice. Its dynamic-skip layer mixes the chosen state with the previous one half
# and half (`lamda`), the paper's setting for reviews.


def train_and_test(name: str, layer: keras.layers.Layer, model_class: type = keras.Model) -> tuple:
    """The model with this layer, and its accuracy on the test reviews."""
    x = keras.Input([None], dtype="int32")
    h = layer(keras.layers.Embedding(split.vocabulary_size(), 32, mask_zero=True)(x))
    model = model_class(x, keras.layers.Dense(1)(h), name=name)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003, global_clipnorm=1.0), loss, metrics=["accuracy"])
    model.fit(words[train], labels[train], BATCH_SIZE, EPOCHS, verbose=2)
    accuracy = model.evaluate(words[test], labels[test], verbose=0, return_dict=True)["accuracy"]
    return model, accuracy


skips = DynamicSkipLSTM(UNITS, n_actions=5, lamda=0.5)
_, of_lstm = train_and_test("lstm", keras.layers.LSTM(UNITS))
model, of_skips = train_and_test("dynamic_skips", skips, PolicyGradientModel)

# ## What is connected
#
# Every word of a test review, and the one whose state its step was mixed with.

model(words[test][:1])
distances, place = (
    skips.trace.distances.numpy()[0],
    {i: w for i, w in enumerate(split.get_vocabulary())},
)
text = [place[i] for i in words[test][0] if i]
print(f"\nfavourable: {bool(labels[test][0])}")
for t, (word, k) in enumerate(zip(text, distances, strict=False)):
    print(f"{word:>12} <- {text[t - k] if t >= k else '-'}")

print(f"\nLSTM          test accuracy {of_lstm:.3f}")
print(f"dynamic skips test accuracy {of_skips:.3f}")
