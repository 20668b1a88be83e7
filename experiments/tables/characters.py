"""Language modelling from characters: words of the Penn Treebank, and text for `look_inside.py`."""

from experiments.tables.language import PERPLEXITY, perplexity
from experiments.tables.table import (
    ATTENTION,
    FIXED_3,
    FIXED_5,
    LSTM,
    MIXTURE,
    Row,
    Table,
    without_paper,
)

_BITS = (
    ("valid_bits", "valid, sampled", 3, 1.0),
    ("test_bits", "test, sampled", 3, 1.0),
    ("test_bits_greedy", "test, greedy", 3, 1.0),
)

_CHARLM_ROWS = {
    "lstm": Row("CharLM (LSTM)", {"cell": "lstm"}, perplexity(82.0, 78.9)),
    "fixed_skip_3": Row(FIXED_3, {"cell": "fixed_skip", "skip": 3}, perplexity(83.6, 80.2)),
    "fixed_skip_5": Row(FIXED_5, {"cell": "fixed_skip", "skip": 5}, perplexity(84.9, 80.9)),
    "attention": Row(f"{ATTENTION}, lamda 1", {"cell": "attention"}, perplexity(82.2, 79.0)),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, perplexity(79.9, 76.5)),
}

CHARACTERS = {
    "charlm_small": Table(
        "Language modelling from characters, PTB, small scale: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        without_paper(_CHARLM_ROWS),
        {"preset": "char_small", **MIXTURE},
        data="ptb",
        hours=1.0,
        seeds=1,
    ),
    "charlm": Table(
        "Language modelling from characters, PTB, 2 x 650: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        _CHARLM_ROWS,
        {"preset": "char", **MIXTURE},
        data="ptb",
        hours=5.0,
    ),
    # This text has brackets, quotes and comments, and is on every machine.
    "char_text": Table(
        "Language modelling by characters, Python's standard library, 2 x 128: bits per character",
        "LanguageModeling",
        _BITS,
        {
            "lstm": Row(LSTM, {"cell": "lstm"}),
            "attention_lamda0.5": Row(
                f"{ATTENTION}, K = 10, lamda 0.5", {"cell": "attention", "lamda": 0.5}
            ),
            "straight_through_lamda0.5": Row(
                "dynamic skips, K = 10, lamda 0.5, straight-through",
                {"estimator": "straight_through", "lamda": 0.5, "entropy_weight": 0.02},
            ),
        },
        {"preset": "char_text", "max_epochs": 2},
        data="python",
        hours=0.3,
        seeds=1,
        note="The text is what `python LanguageModeling/produce_text.py` writes: whole files of"
        " the running Python's library, none of them in two of the three texts.",
    ),
}
