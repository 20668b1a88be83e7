"""The options of language modelling's --model, --regularisation and --output; what they exclude."""

import dataclasses
from typing import Any

from common.choices import STATE_MASKS
from common.config import CELLS, cells, setting
from common.errors import InputError


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

    suffix_length: int = setting(5, "longest suffix of the history, in tokens", minimum=1)
    suffix_count: int = setting(
        40, "a longer suffix than a token counts if the text has it more often", minimum=0
    )


@cells.options
class WordOptions:
    """The options of --model word."""

    tied_embeddings: bool = setting(False, "the softmax's weights are the vectors of the words")


@cells.options
class MixedOptions:
    """The options of --model mixed (Bojanowski et al. 2015)."""

    frequent_words: int = setting(
        2000, "words of the word level, the most frequent ones; others are <unk>", minimum=1
    )
    char_rnn_size: int = setting(100, "units of the LSTM over characters", minimum=1)


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
        "words from a table, or spelled; sentences of documents; words and characters",
        choices=("word", "char", "document", "mixed"),
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


def check(config: Any) -> None:
    """Raises `InputError` for flags of a `LanguageConfig` that do not go together."""
    masked = [name for name, cell in CELLS.items() if issubclass(cell.options, cells.Zoneout)]
    if config.regularisation != "dropout" and config.cell not in masked:
        raise InputError(
            f"--regularisation {config.regularisation} expects one of --cell {', '.join(masked)};"
            f" got {config.cell}: change one of them"
        )
    if config.mc_dropout and config.weight_dropout:
        raise InputError(
            "--mc_dropout expects other masks in each chain of a mixture, but --weight_dropout"
            f" {config.weight_dropout} drops the same numbers of U in all: leave --mc_dropout out"
        )
    expected = {
        "document": {
            "--cell lstm, gru or rnn": config.cell in ("lstm", "gru", "rnn"),
            "--zoneout 0,0": not any(config.zoneout or []),
            "--rnn_layers 1, or --dropout 0": config.rnn_layers == 1 or not config.dropout,
        },
        "mixed": {
            "--tokens characters": config.tokens == "characters",
            "--output plain": config.output == "plain",
            "--reward log_likelihood": config.reward == "log_likelihood",
            "--nomixed_precision": not config.mixed_precision,
        },
    }
    plain = {
        "--regularisation dropout": config.regularisation == "dropout",
        "--topics 0": not config.topics,
        "--condition none": config.condition == "none",
    }
    if config.model in expected:
        for name, given in (plain | expected[config.model]).items():
            if not given:
                raise InputError(
                    f"--model {config.model} expects {name}: add that, or change --model"
                )
    if config.topics and config.condition != "none":
        raise InputError("--topics are of texts without --condition: leave one of them out")
    unsuited = {
        "--tied_embeddings": config.tied_embeddings,
        f"--topics {config.topics}": config.topics,
        "--mixed_precision": config.mixed_precision,
    }
    for name in [name for name, given in unsuited.items() if given]:
        if config.output == "suffix":
            raise InputError(f"--output suffix and {name} do not go together: leave one out")
    if config.tied_embeddings and config.topics:
        raise InputError(
            f"--topics {config.topics} enter a softmax of their own: leave them or"
            " --tied_embeddings out"
        )
