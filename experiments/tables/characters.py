"""Language modelling by characters, for `look_inside.py`."""

from experiments.tables.table import ATTENTION, LSTM, Row, Table

_BITS = (
    ("valid_bits", "valid, sampled", 3, 1.0),
    ("test_bits", "test, sampled", 3, 1.0),
    ("test_bits_greedy", "test, greedy", 3, 1.0),
)

CHARACTERS = {
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
    )
}
