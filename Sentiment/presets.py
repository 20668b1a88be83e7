"""Settings of sentiment classification."""

import dataclasses

from common.config import RunConfig, setting
from common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentimentConfig(RunConfig):
    """Train a classifier of texts: IMDB, the Stanford Sentiment Treebank, or your own.

    Gui et al. 2019, section 4.3.
    """

    task = "Sentiment"

    dataset: str = setting(
        "imdb",
        "data set: IMDB, SST with five classes or two, or your own texts",
        choices=("imdb", "sst5", "sst2", "own"),
    )
    data_dir: str = setting(
        "",
        "folder with the data set, or your own {train,dev,test}.tsv or .jsonl (empty: generated)",
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
        choices=("mean", "last", "attention"),
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
        "reward: log p(label) of one sample or of a mixture",
        choices=("log_likelihood", "mixture"),
    )
    entropy_weight: float = setting(0.001, minimum=0)
    max_train_examples: int = setting(
        0, "train on a random sample of this many texts (0: all)", minimum=0
    )
    n_buckets: int = setting(8, "number of padded lengths; each is compiled once", minimum=1)

    def __post_init__(self):
        """Raises `InputError` for a flag of another data set, and for own data without a folder.

        Also for an estimator that the pooling does not allow.
        """
        super().__post_init__()
        if self.is_marginal and self.pooling != "last":
            raise InputError(
                "--estimator marginal expects --pooling last, where the prediction depends on one"
                f" state, got {self.pooling}: change one of them"
            )
        if self.phrases and self.dataset not in ("sst5", "sst2"):
            raise InputError(
                "--phrases belongs to --dataset sst5 or sst2, the data set here is "
                f"{self.dataset}: leave it out, or change the data set"
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
        return super().readers() | {"sentences": {"pooling": ["attention"]}}


PRESETS = {
    "paper": {},
    # The dynamic row that is best on dev in the table `imdb`, as a test sees to.
    "best": {},
    # Sentences of 19 words instead of reviews of hundreds.
    "sst": {"dataset": "sst5", "pooling": "last", "learning_rate": 0.001},
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
