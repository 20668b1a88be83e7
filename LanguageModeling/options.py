"""The options of language modelling's --model, --regularisation and --output."""

import dataclasses

from common.choices import STATE_MASKS
from common.config import cells, setting


@cells.options
class CharOptions:
    """The options of --model char."""

    char_size: int = setting(15, "dimension of a character's vector", minimum=1)
    char_filters: list[int] = setting(
        [50, 100, 150, 200, 200, 200, 200],
        "number of filters of width 1, 2, 3, ... characters",
        minimum=1,
    )
    highway_layers: int = setting(2, "highway layers after the filters", minimum=0)
    max_chars: int = setting(
        65, "maximum characters of a word, its two end marks included", minimum=3
    )


@cells.options
class SuffixOptions:
    """The options of --output suffix (Bojanowski et al. 2015)."""

    suffix_length: int = setting(5, "longest suffix of the history, in words", minimum=1)
    suffix_count: int = setting(
        40, "a longer suffix than a word counts if the text has it more often", minimum=0
    )


@cells.options
class WordOptions:
    """The options of --model word."""

    tied_embeddings: bool = setting(False, "the softmax's weights are the vectors of the words")


@cells.options
class DocumentOptions:
    """The options of --model document (Ji et al. 2015)."""

    context: str = setting(
        "input",
        "where the state behind the sentence before enters; or sentences alone, or a stream",
        choices=("input", "output", "attention", "sentence", "stream"),
    )
    context_sentences: int = setting(
        8, "sentences before that --context attention weighs", minimum=1
    )


_RATE = {"minimum": 0, "maximum": 0.999}
_WORDS = "share of the words dropped, each wherever it stands in a row"


@cells.options
class Variational:
    """The options of --regularisation variational (Gal & Ghahramani 2016)."""

    word_dropout: float = setting(0.2, _WORDS, **_RATE)
    state_dropout: float = setting(0.2, "share of h dropped before its product with U", **_RATE)
    state_masks: str = setting(
        "one", "masks of h: one for all gates, or one for each", choices=STATE_MASKS
    )


@cells.options
class Awd:
    """The options of --regularisation awd (Merity et al. 2018)."""

    word_dropout: float = setting(0.1, _WORDS, **_RATE)
    weight_dropout: float = setting(0.5, "share of the numbers in U dropped", **_RATE)
    activation_l2: float = setting(
        2.0, "weight of the last layer's mean square, after dropout", minimum=0
    )
    slowness_l2: float = setting(
        1.0, "weight of the mean square of its changes from step to step", minimum=0
    )
    weight_decay: float = setting(
        1.2e-6, "share of all weights subtracted in a step, times the learning rate", minimum=0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFlags:
    """The flags whose value brings these options."""

    model: str = setting(
        "word",
        "vectors of words: a table, or from characters; or sentences of documents",
        choices=("word", "char", "document"),
    )
    regularisation: str = setting(
        "dropout",
        "dropout anew at each step; or masks for a window",
        choices=("dropout", "variational", "awd"),
    )
    output: str = setting(
        "plain",
        "one softmax; or one for each frequent suffix of the history",
        choices=("plain", "suffix"),
    )
