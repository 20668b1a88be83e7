"""Settings of sentiment classification."""

import dataclasses

from common.choices import BASELINES, POLICY_GRADIENT
from common.config import RunConfig, cells, setting
from common.errors import InputError

DATASETS = ("imdb", "sst5", "sst2", "own")


@cells.options
class JumpOptions:
    """The options of --model jump."""

    reads: int = setting(20, "words read before each jump, in training", minimum=1)
    jumps: int = setting(5, "rounds of reading, in training", minimum=2)
    test_reads: int = setting(80, "words read before each jump, else", minimum=1)
    test_jumps: int = setting(8, "rounds of reading, else", minimum=2)
    max_jump: int = setting(40, "longest jump, in words (0 stops, 1 skips none)", minimum=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Model:
    model: str = setting(
        "whole", "read the whole text, or jump over parts of it", choices=("whole", "jump")
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentimentConfig(cells.flags_of([JumpOptions]), _Model, RunConfig):
    """Train a classifier of texts: IMDB, the Stanford Sentiment Treebank, or your own.

    Gui et al. 2019, section 4.3.
    """

    task = "Sentiment"
    options = {**RunConfig.options, "model": {"whole": cells.NoOptions, "jump": JumpOptions}}

    dataset: str = setting(
        "imdb",
        "data set: IMDB, SST with five classes or two, or your own texts",
        choices=DATASETS,
    )
    data_dir: str = setting(
        "",
        "folder with the data set; with --dataset own {train,dev,test}.tsv or .jsonl (empty:"
        " generated)",
    )
    cache_dir: str = setting(
        "",
        "cache folder for IMDB's tokens and word vectors (empty: none)",
        affects_result=False,
        path=True,
    )
    max_tokens: int = setting(400, "maximum tokens of a text, its last ones", minimum=1)
    phrases: bool = setting(
        False, "SST: train on every phrase of the trees, not only on the sentences"
    )
    vectors: str = setting(
        "", "file of pretrained word vectors, word2vec's .bin or text (empty: random)", path=True
    )
    word_size: int = setting(300, "dimension of a word's vector", minimum=1)
    train_vectors: bool = setting(True, "train the word vectors with the rest")
    max_words: int = setting(30_000, "size of the vocabulary", minimum=3)
    min_count: int = setting(2, "training words that are rarer become unknown", minimum=1)
    rnn_size: int = setting(128, minimum=1)
    n_actions: int = setting(3, minimum=1)
    lamda: float = setting(0.5, minimum=0, maximum=1)
    pooling: str = setting(
        "mean",
        "input of the classifier: mean, last or weighted output",
        choices=("mean", "last", "attention", "reading_time", "attention_and_reading_time"),
    )
    sentences: bool = setting(
        False, "attention over the words of each sentence, then over the sentences"
    )
    dropout: float = setting(0.2, "probability of dropping a unit before the classifier")
    batch_size: int = setting(50, minimum=1)
    max_epochs: int = setting(10, minimum=1)
    learning_rate: float = setting(0.002, minimum=0)
    patience: int = setting(
        3, "stop after this many epochs without a better accuracy on dev (0: never)", minimum=0
    )
    reward: str = setting(
        "log_likelihood",
        "reward: log p(label), or right or wrong",
        choices=("log_likelihood", "sign"),
    )
    baseline: str = setting(
        POLICY_GRADIENT.baseline,
        "subtracted from the return: 0, the other rows' mean, or what --model jump learned",
        choices=(*BASELINES, "learned"),
    )
    entropy_weight: float = setting(0.001, minimum=0)
    max_train_examples: int = setting(
        0, "train on a random sample of this many texts (0: all)", minimum=0
    )
    n_buckets: int = setting(8, "number of padded lengths; each is compiled once", minimum=1)

    def __post_init__(self):
        """Raises `InputError` for a flag of another data set, and for own data without a folder."""
        super().__post_init__()
        if self.model == "jump" and super().has_agent:
            raise InputError(
                f"--model jump has the only agent, got --cell {self.cell} with another: give"
                " --cell lstm, or another without"
            )
        if self.baseline == "learned" and self.model != "jump" and self.has_agent:
            raise InputError(
                f"--baseline learned expects --model jump, got {self.model}: give another"
                f" --baseline, such as {POLICY_GRADIENT.baseline}, or change the model"
            )
        if self.phrases and self.dataset not in ("sst5", "sst2"):
            raise InputError(
                "--phrases belongs to --dataset sst5 or sst2, the data set here is "
                f"{self.dataset}: leave it out, or change the data set"
            )
        if self.phrases and not self.data_dir:
            raise InputError(
                "--phrases are those of the trees in --data_dir, which is not given: name it, or"
                " leave --phrases out"
            )
        if self.dataset == "own" and not self.data_dir:
            raise InputError(
                "--dataset own needs --data_dir, the folder that has train.tsv or train.jsonl: "
                "name it, or leave --dataset out for the generated corpus"
            )

    @classmethod
    def choosers(cls) -> list[str]:
        """As of `RunConfig`."""
        return [*super().choosers(), "pooling"]

    @classmethod
    def readers(cls) -> dict[str, dict[str, list[str]]]:
        """As of `RunConfig`."""
        whole = {"model": ["whole"]}
        return super().readers() | {
            "pooling": whole,
            "mc_dropout": whole,
            "sentences": {**whole, "pooling": ["attention"]},
            "estimator": super().readers()["estimator"] | whole,
        }

    @property
    def unread(self) -> set[str]:
        """As of `RunConfig`; the agent of --model jump has the same objective, with any cell."""
        return super().unread - ({*cells.names(cells.Objective)} if self.model == "jump" else set())

    @property
    def has_agent(self) -> bool:
        """As of `RunConfig`."""
        return self.model == "jump" or super().has_agent

    @property
    def is_random(self) -> bool:
        """As of `RunConfig`; jumps are drawn, too."""
        return self.model == "jump" or super().is_random


PRESETS = {
    "paper": {},
    # The dynamic row that is best on dev in the table `imdb`, as a test sees to.
    "best": {"estimator": "straight_through"},
    # Sentences of 19 words instead of reviews of hundreds.
    "sst": {"dataset": "sst5", "pooling": "last", "learning_rate": 0.001},
    # Yu et al. 2017; their rate of Adam, the rest as in `paper`.
    "jump": {
        "model": "jump",
        "cell": "lstm",
        "reward": "sign",
        "baseline": "learned",
        "learning_rate": 0.001,
    },
    # Solves the generated corpus in two minutes.
    "small": {
        "pooling": "last",
        "rnn_size": 50,
        "word_size": 50,
        "dropout": 0.0,
        "learning_rate": 0.003,
        "max_epochs": 12,
        "patience": 0,
        "n_buckets": 3,
    },
}
