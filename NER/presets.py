"""Settings of named-entity recognition."""

import dataclasses
from collections.abc import Sequence

from common.choices import WITHOUT_MARGINAL
from common.config import RunConfig, setting
from common.errors import InputError


def check_columns(columns: Sequence[int]) -> None:
    """Raises `InputError` unless there are two."""
    if len(columns) != 2:
        raise InputError(
            "--columns expects two numbers, the columns of words and of tags, such as 1,4; got"
            f" {len(columns)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NERConfig(RunConfig):
    """Train a tagger of named entities on CoNLL-2003 or other data.

    Gui et al. 2019, section 4.1; network and schedule of Ma & Hovy 2016.
    """

    task = "NER"

    data_dir: str = setting(
        "",
        "folder with eng.{train,testa,testb}, {train,valid,test}.txt (empty: generated)",
    )
    columns: list[int] = setting([1, 4], "columns of the words and of the tags, from 1", minimum=1)
    vectors: str = setting(
        "", "file of pretrained word vectors, such as glove.6B.100d.txt (empty: random)", path=True
    )
    cache_dir: str = setting(
        "",
        "cache folder for the vectors of the corpus's words (empty: none)",
        affects_result=False,
        path=True,
    )
    word_size: int = setting(100, "dimension of a word's vector", minimum=1)
    train_vectors: bool = setting(True, "train the word vectors with the rest")
    min_count: int = setting(
        2, "rarer training words without a pretrained vector become unknown", minimum=1
    )
    char_size: int = setting(30, "dimension of a character's vector", minimum=1)
    char_filters: int = setting(
        30, "filters of the convolution over a word's characters", minimum=1
    )
    char_width: int = setting(3, "width of the filters, in characters", minimum=1)
    max_chars: int = setting(20, "maximum characters of a word", minimum=1)
    scheme: str = setting("BIOES", "tagging scheme", choices=("BIOES", "BIO"))
    dropout: float = setting(
        0.5,
        "probability of dropping a unit, on characters, before and after the recurrent layers",
    )
    batch_size: int = setting(10, minimum=1)
    max_epochs: int = setting(100, minimum=1)
    patience: int = setting(
        20, "stop after this many epochs without a better F1 on dev (0: never)", minimum=0
    )
    learning_rate: float = setting(0.015, minimum=0)
    learning_rate_decay: float = setting(0.05, "d in learning_rate / (1 + d * epoch)", minimum=0)
    momentum: float = setting(0.9, "momentum of the gradients", minimum=0, maximum=0.999)
    max_grad_norm: float = setting(5.0, minimum=0)
    reward: str = setting(
        "log_likelihood",
        "reward: log p(tags) of one sample or of a mixture",
        choices=("log_likelihood", "mixture"),
    )
    # a CRF scores all tags together
    estimator: str = setting("policy_gradient", choices=WITHOUT_MARGINAL)
    entropy_weight: float = setting(0.01, minimum=0)
    max_train_examples: int = setting(
        0, "train on this many sentences, the first ones (0: all)", minimum=0
    )
    n_buckets: int = setting(14, "number of padded lengths; each is compiled once", minimum=1)

    def __post_init__(self):
        super().__post_init__()
        check_columns(self.columns)


PRESETS = {
    # The paper says nothing of what the agents begin with. From equal odds they settle within an
    # epoch or two, mostly on a skip.
    "paper": {"previous_bias": 2.0},
    # The dynamic row that is best on dev in the table `ner`, as a test sees to.
    "best": {"previous_bias": 2.0, "estimator": "straight_through"},
    # What a laptop finishes on the generated corpus.
    "small": {
        "rnn_size": 50,
        "word_size": 25,
        "char_size": 10,
        "char_filters": 15,
        "dropout": 0.0,
        "learning_rate": 0.1,
        "max_epochs": 12,
        "n_buckets": 2,
    },
}
