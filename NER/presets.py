"""Settings of named-entity recognition."""

import dataclasses
from collections.abc import Sequence

from common.config import RunConfig, cells, setting
from common.errors import InputError
from NER.conll import COLUMNS
from NER.features import MOST_FEATURES


def check_columns(columns: Sequence[int]) -> None:
    """Raises `InputError` unless there are two different ones."""
    if len(columns) != 2 or len({*columns}) != 2:
        raise InputError(
            "--columns expects two numbers, the columns of words and of tags, such as 1,4; got"
            f" {','.join(map(str, columns))}"
        )


@cells.options
class DilatedOptions:
    """The options of --model idcnn."""

    filters: int = setting(300, "filters of each convolution", minimum=1)
    dilations: list[int] = setting([1, 2, 1], "dilations of the block's convolutions", minimum=1)
    iterations: int = setting(1, "passes through the block; each is trained to tag", minimum=1)
    drop_penalty: float = setting(
        1e-4, "weight of the squared change of the scores by dropout", minimum=0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Model:
    model: str = setting(
        "rnn",
        "recurrent layers, convolutions or none of them",
        choices=("rnn", "idcnn", "linear"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NERConfig(cells.flags_of([DilatedOptions]), _Model, RunConfig):
    """Train a tagger of named entities on CoNLL-2003 or other data.

    Gui et al. 2019, section 4.1; network and schedule of Ma & Hovy 2016.
    """

    task = "NER"
    options = {
        **RunConfig.options,
        "model": {"rnn": cells.NoOptions, "idcnn": DilatedOptions, "linear": cells.NoOptions},
    }

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
    unknown_singletons: float = setting(
        0.0, "share of the words seen once that are unknown in training", minimum=0, maximum=1
    )
    char_encoder: str = setting(
        "cnn",
        "what is read of a word's letters [shape: capitals]",
        choices=("cnn", "lstm", "shape", "none"),
    )
    char_size: int = setting(30, "dimension of a character's vector", minimum=1)
    char_filters: int = setting(
        30, "filters of the convolution over a word's characters", minimum=1
    )
    char_width: int = setting(3, "width of the filters, in characters", minimum=1)
    char_rnn_size: int = setting(25, "units of the LSTM over characters, each way", minimum=1)
    max_chars: int = setting(20, "maximum characters of a word", minimum=1)
    features: list[str] = setting(
        [], "hand-made features, added to the scores (Huang)", choices=tuple(MOST_FEATURES)
    )
    bidirectional: bool = setting(True, "also read from right to left")
    scores: str = setting(
        "linear",
        "scores: linear, above a tanh layer, or each way's",
        choices=("linear", "tanh", "directions"),
    )
    crf: bool = setting(True, "score tags together; without: each alone")
    scheme: str = setting("BIOES", "tagging scheme", choices=("BIOES", "BIO"))
    dropout: float = setting(
        0.5,
        "share of units dropped: characters, inputs, outputs",
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
    entropy_weight: float = setting(0.01, minimum=0)
    max_train_examples: int = setting(
        0, "train on a random sample of this many sentences (0: all)", minimum=0
    )
    n_buckets: int = setting(14, "number of padded lengths; each is compiled once", minimum=1)

    def __post_init__(self):
        """Raises `InputError` for columns or scores that there are not."""
        super().__post_init__()
        check_columns(self.columns)
        if not self.data_dir and tuple(self.columns) != COLUMNS:
            raise InputError(
                "--columns are those of the files in --data_dir, which is not given: name it, or"
                " leave --columns out"
            )
        if self.unknown_singletons and self.min_count > 1 and not self.vectors:
            raise InputError(
                f"--unknown_singletons {self.unknown_singletons} expects words seen once that are"
                f" known, which --min_count {self.min_count} rules out: give --min_count 1 or"
                " --vectors, or leave --unknown_singletons out"
            )
        if self.scores == "directions" and not (self.bidirectional and self.model == "rnn"):
            raise InputError(
                "--scores directions expects a layer in each direction, found one: leave out"
                f" {'--nobidirectional' if self.model == 'rnn' else '--model ' + self.model}, or"
                " change --scores"
            )

    @classmethod
    def choosers(cls) -> list[str]:
        """As of `RunConfig`."""
        return [*super().choosers(), "char_encoder"]

    @classmethod
    def readers(cls) -> dict[str, dict[str, list[str]]]:
        """As of `RunConfig`; cells and what belongs to them are those of recurrent layers."""
        found = super().readers() | {
            "char_size": {"char_encoder": ["cnn", "lstm"]},
            "char_filters": {"char_encoder": ["cnn"]},
            "char_width": {"char_encoder": ["cnn"]},
            "char_rnn_size": {"char_encoder": ["lstm"]},
            "max_chars": {"char_encoder": ["cnn", "lstm", "shape"]},
            "momentum": {"model": ["rnn", "linear"]},
        }
        of_cells = {name for cell in cells.CELLS.values() for name in cells.names(cell.options)}
        for name in [*of_cells, "bidirectional", "cell", "rnn_size"]:
            found.setdefault(name, {})["model"] = ["rnn"]
        return found

    @property
    def unread(self) -> set[str]:
        """As of `RunConfig`; the tanh layer below the scores has --rnn_size units, too."""
        return super().unread - ({"rnn_size"} if self.scores == "tanh" else set())

    @property
    def has_agent(self) -> bool:
        """As of `RunConfig`."""
        return self.model == "rnn" and super().has_agent

    @property
    def is_random(self) -> bool:
        """As of `RunConfig`; only recurrent layers draw distances."""
        return super().is_random if self.model == "rnn" else self.draws_masks

    @property
    def kept_columns(self) -> tuple[int, ...]:
        """The columns with parts of speech and chunks, where they are read and known."""
        known = "context" in self.features and tuple(self.columns) == COLUMNS
        return (2, 3) if known else ()


_PLAIN = {"cell": "lstm", "learning_rate_decay": 0.0, "momentum": 0.0}
PRESETS = {
    # The paper says nothing of what the agents begin with. From equal odds they settle within an
    # epoch or two, mostly on a skip.
    "paper": {"previous_bias": 2.0},
    # The dynamic row that is best on dev in the table `ner`, as a test sees to.
    "best": {"previous_bias": 2.0, "lamda": 0.5, "estimator": "straight_through"},
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
    # Huang et al. 2015: their sizes where they give them, a batch of about 100 words; the vectors,
    # random or SENNA's, have 50 components. They name neither dropout nor what is done about
    # unknown words; chosen on dev, with a rate between theirs, .1, and that of a sum over a batch.
    "huang": {
        **_PLAIN,
        "features": ["spelling", "context"],
        "char_encoder": "none",
        "rnn_size": 300,
        "word_size": 50,
        "unknown_singletons": 0.5,
        "min_count": 1,
        "scheme": "BIO",
        "learning_rate": 0.3,
        "batch_size": 7,
        "max_epochs": 10,
    },
    # Lample et al. 2016, with batches of 10 in place of single sentences and ten times their rate.
    "lample": {
        **_PLAIN,
        "char_encoder": "lstm",
        "char_size": 25,
        "unknown_singletons": 0.5,
        "min_count": 1,
        "rnn_size": 100,
        "scores": "tanh",
        "learning_rate": 0.1,
    },
    # Strubell et al. 2017, as they have it for sentences; one rate of dropout in place of three.
    "idcnn": {
        "cell": "lstm",
        "model": "idcnn",
        "char_encoder": "shape",
        "dropout": 0.25,
        "learning_rate": 5e-4,
        "learning_rate_decay": 0.0,
        "batch_size": 32,
    },
    # Chiu & Nichols 2016, without their lexicon; their rate of .0105 times the size of the batch,
    # over which the loss here is a mean.
    "chiu": {
        **_PLAIN,
        "word_size": 50,
        "char_size": 25,
        "char_filters": 53,
        "rnn_size": 275,
        "scores": "directions",
        "dropout": 0.68,
        "learning_rate": 0.0945,
        "batch_size": 9,
        "max_grad_norm": 0.0,
    },
}
