"""The tables: the runs of each row, and the numbers that the paper reports."""

from common.errors import InputError
from experiments.tables.characters import CHARACTERS
from experiments.tables.generation import GENERATION
from experiments.tables.language import LANGUAGE
from experiments.tables.ner import NER
from experiments.tables.numbers import NUMBERS
from experiments.tables.sentiment import SENTIMENT
from experiments.tables.table import Row, Table

__all__ = ["BEST", "SUMMARY", "TABLES", "TRIAL", "Row", "Table", "at_scale", "source"]

TABLES: dict[str, Table] = {
    **NUMBERS,
    **LANGUAGE,
    **CHARACTERS,
    **GENERATION,
    **NER,
    **SENTIMENT,
}

# The first table of README and report: a metric of these tables, of the LSTM, of attention, and of
# the row with dynamic skips.
SUMMARY = {
    "numbers11": ("test_accuracy_sampled", "dynamic_skip_lamda0.5"),
    "numbers21": ("test_accuracy_sampled", "dynamic_skip_lamda0.5"),
    "numbers101": ("test_accuracy_sampled", "dynamic_skip"),
    "ner": ("test_f1_sampled", "dynamic_skip"),
    "imdb": ("test_accuracy_sampled", "dynamic_skip"),
    "lm_small": ("test_perplexity", "dynamic_skip"),
    "lm": ("test_perplexity", "dynamic_skip"),
    "charlm": ("test_perplexity", "dynamic_skip"),
}


# The tables of the trial of learned connections, the small scale of a task before the full one.
TRIAL = (
    "numbers11",
    "numbers21",
    "estimators21",
    "numbers101",
    "ner_small",
    "ner_tuned_small",
    "ner",
    "imdb_small",
    "imdb_tuned_small",
    "imdb_last_small",
    "imdb",
    "sst5",
    "lm_small",
    "lm_small_dropout",
    "lm",
    "charlm_small",
    "char_text",
)


# The table in which dev chooses a task's preset `best`: the paper's size, or what is harder.
BEST = {
    "NumberPrediction": "numbers21",
    "LanguageModeling": "lm",
    "NER": "ner",
    "Sentiment": "imdb",
}


def at_scale(name: str, scale: str) -> str:
    """The name of the table at a scale, "full" or "small"; `InputError` if there is none."""
    if scale == "full" or name.endswith("_small"):
        return name
    if f"{name}_small" in TABLES:
        return f"{name}_small"
    small = ", ".join(key for key in TABLES if f"{key}_small" in TABLES)
    raise InputError(
        f"--scale small expects a table that has a small scale ({small}), got {name}: "
        "leave --scale out"
    )


def source(name: str, row: str) -> tuple[str, str]:
    """The table and the row that a row's runs belong to: itself, or that in `Row.of`."""
    return tuple(TABLES[name].rows[row].of.split("/")) if TABLES[name].rows[row].of else (name, row)
