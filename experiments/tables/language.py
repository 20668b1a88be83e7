"""Language modelling: the Penn Treebank by words, and figure 5."""

import json
import pathlib

from experiments.tables.table import (
    ATTENTION,
    CONTROL,
    FIXED_3,
    FIXED_5,
    LSTM,
    MIXED,
    MIXTURE,
    Row,
    Table,
    trial,
    tuned,
    tuned_note,
    without_paper,
)
from LanguageModeling.presets import PRESETS, LanguageConfig

_STEP = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "step.json"
_WINDOWS = 929_589 // 20 // 35  # of the training text: its tokens, in 20 streams, 35 at a time

PERPLEXITY = (
    ("valid_perplexity", "valid, sampled", 1, 1.0),
    ("test_perplexity", "test, sampled", 1, 1.0),
    ("test_perplexity_greedy", "test, greedy", 1, 1.0),
    ("test_perplexity_mixture16", MIXED, 1, 1.0),
)
_RANDOM = "random skips, K = 5, lamda 1 (control)"


def perplexity(valid: float, test: float) -> dict[str, float]:
    """The numbers of a paper."""
    return {"valid_perplexity": valid, "test_perplexity": test}


_LM_ROWS = {
    "lstm": Row(LSTM, {"cell": "lstm"}, perplexity(86.2, 82.7)),
    "random_skip": Row(_RANDOM, {"cell": "random_skip"}),
    "fixed_skip_3": Row(FIXED_3, {"cell": "fixed_skip", "skip": 3}, perplexity(85.3, 81.5)),
    "fixed_skip_5": Row(FIXED_5, {"cell": "fixed_skip", "skip": 5}, perplexity(86.2, 82.0)),
    "attention": Row(f"{ATTENTION}, lamda 1", {"cell": "attention"}, perplexity(85.1, 81.4)),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, perplexity(82.5, 78.5)),
    "attention_lamda0.5": Row(f"{ATTENTION}, lamda 0.5", {"cell": "attention", "lamda": 0.5}),
}


def _straight_through(entropy_weight: float) -> dict[str, Row]:
    flags = {"estimator": "straight_through", "lamda": 0.5, "entropy_weight": entropy_weight}
    return {
        "straight_through_lamda0.5": Row("dynamic skips, K = 5, lamda 0.5, straight-through", flags)
    }


_DROPOUT_ROWS = {
    "lstm": Row(LSTM, {"cell": "lstm"}),
    **{
        name: row
        for name, row in trial(5).items()
        if name not in ("literal_lamda0.5", "samples_lamda0.5")
    },
    **_straight_through(0.02),
}
_TUNED_ROWS = {
    name: _DROPOUT_ROWS[name]
    for name in ("lstm", CONTROL, "attention_lamda0.5", "straight_through_lamda0.5")
}
_GRID = {"dropout": (0.2, 0.1, 0.3)}
_GPU_NOTE = "Products are in TF32 on the GPU, in float32 on a CPU."

# Other systems. Those that are published at another size than the table's are quoted.
_DEEP = {"cell": "deep_rnn", "activation": "sigmoid", "deep_output": True, "rnn_layers": 1}
_RNN = {"cell": "rnn", "activation": "sigmoid", "rnn_layers": 1}
_ZONEOUT = {"zoneout": "0.5,0.05"}
_MODERN = {"preset": "modern", "mixed_precision": False}
_SYSTEMS = {
    "rnn": Row(
        "RNN, 300 units", _RNN, {"test_perplexity": 124.7}, "Mikolov & Zweig 2012", quoted=True
    ),
    "rnn_topics": Row(
        "RNN with LDA topics", {}, {"test_perplexity": 113.7}, "Mikolov & Zweig 2012", quoted=True
    ),
    "deep_rnn": Row(
        "deep RNN, DOT(S)", _DEEP, {"test_perplexity": 107.5}, "Pascanu et al. 2014", quoted=True
    ),
    "lstm_variational": Row(
        "variational LSTM, masks for each gate",
        {"cell": "lstm", "preset": "variational", "state_masks": "per_gate"},
        perplexity(81.9, 79.7),
        "Gal & Ghahramani 2016",
    ),
    "lstm_variational_zoneout": Row(
        "variational LSTM with zoneout",
        {"cell": "lstm", "preset": "variational", **_ZONEOUT},
        perplexity(84.4, 80.6),
        "Merity et al. 2017",
    ),
    "lstm_modern": Row(
        "LSTM, preset modern",
        {"cell": "lstm", **_MODERN},
        perplexity(61.2, 58.8),
        "Merity et al. 2018, their program",
    ),
    "dynamic_skip_modern": Row(
        "dynamic skips, K = 5, preset modern", _MODERN, control="lstm_modern"
    ),
}


def _small_systems() -> dict[str, Row]:
    """The same at the small scale, where dropout is weaker; most for the LSTM and for skips."""
    variational = {"regularisation": "variational", "dropout": 0.2}
    gates = {**variational, "state_masks": "per_gate"}
    awd = {"regularisation": "awd", "dropout": 0.2, "weight_dropout": 0.2, "tied_embeddings": True}
    rows = {
        "lstm": Row(LSTM, {"cell": "lstm"}, of="lm_small/lstm"),
        "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, of="lm_small/dynamic_skip"),
        "rnn": Row("RNN, one layer", _RNN),
        "rnn_topics": Row("RNN, one layer, 40 topics", {**_RNN, "topics": 40}, control="rnn"),
        "deep_rnn": Row("deep RNN, DOT(S), one layer", _DEEP),
    }
    for name, label, flags in (
        ("zoneout", "zoneout", _ZONEOUT),
        ("variational", "variational dropout .2", variational),
        ("variational_gates", "variational dropout .2, a mask for each gate", gates),
        ("tied", "tied embeddings", {"tied_embeddings": True}),
        ("awd", "AWD-LSTM's regularisation, weaker", awd),
    ):
        rows[f"lstm_{name}"] = Row(f"{LSTM}, {label}", {"cell": "lstm", **flags})
        if flags is not gates:
            rows[f"dynamic_skip_{name}"] = Row(
                f"dynamic skips, K = 5, lamda 1, {label}", flags, control=f"lstm_{name}"
            )
    return rows


def _sweep(source: str = "") -> dict[str, Row]:
    """The rows of figure 5: K at lamda 1, and lamda at K = 5.

    A row that is also in the table `source` uses its runs.
    """
    rows = {"K1": Row("K = 1 (the LSTM)", {"cell": "lstm"}, of=source and f"{source}/lstm")}
    for k in (2, 3, 5, 7, 10):
        rows[f"K{k}"] = Row(
            f"K = {k}, lamda 1",
            {"n_actions": k},
            of=f"{source}/dynamic_skip" if source and k == 5 else "",
        )
    for lamda in (0.25, 0.5, 0.75):
        rows[f"lamda{lamda}"] = Row(f"K = 5, lamda {lamda}", {"lamda": lamda})
    return rows


def _hours(epochs: int, way: str) -> float:
    """Hours of training the paper's model for so many epochs, from benchmarks/speed.py.

    `way` is the name of our step there. Evaluation after each epoch is not counted.
    """
    return epochs * _WINDOWS * json.loads(_STEP.read_bytes())["milliseconds"][way] / 3.6e6


_FULL = {"preset": "medium", "mixed_precision": True, **MIXTURE}
_FULL_HOURS = round(_hours(PRESETS["medium"]["max_epochs"], "dynamic_skip, bfloat16"), 1)


def _full_note() -> str:
    """How the full-size table is trained, beside the default preset, and how long both take."""
    here, default = PRESETS["medium"], LanguageConfig()
    hours = _hours(default.max_epochs, "dynamic_skip")
    return (
        f"Preset medium, Zaremba's schedule: {here['max_epochs']} epochs, the learning rate "
        f"divided by 1.2 after each from epoch {here['decay_after']} on; products in bfloat16, "
        f"their sums in float32; {_FULL_HOURS} hours of training steps on two CPU cores. "
        "Without --preset, LanguageModeling/RL_train.py has the release's schedule: up to "
        f"{default.max_epochs} epochs in float32, the rate divided by 1.2 when the perplexity on "
        f"valid falls by less than {default.decay_when:g}; up to {hours:.1f} hours. "
        "The runs on a GPU, six side by side, so that their times say little "
        "([steps alone](../benchmarks/RESULTS.md#gpu_step)), are of what TensorFlow compiled, run "
        "by JAX ([how](../benchmarks/without_tensorflow/README.md))."
    )


LANGUAGE = {
    "lm_small": Table(
        "Language modelling, PTB, 2 x 200: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        {
            **without_paper(_LM_ROWS),
            **_straight_through(0.02),
            "dynamic_skip_settled": Row(
                "dynamic skips, low-entropy agent", {"rl_weight": 0.3, "entropy_weight": 0.02}
            ),
            "lstm_bfloat16": Row(
                "LSTM, products in bfloat16", {"cell": "lstm", "mixed_precision": True}
            ),
            "dynamic_skip_bfloat16": Row(
                "dynamic skips, products in bfloat16", {"mixed_precision": True}
            ),
        },
        {"preset": "small", **MIXTURE},
        data="ptb",
        hours=0.8,
    ),
    # A trial of estimators with dropout, so that connections that merely regularise gain nothing.
    "lm_small_dropout": Table(
        "Language modelling, PTB, small scale, dropout 0.2: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        {
            **_DROPOUT_ROWS,
            # Level with straight-through, whose mixture is better, in 1.7 times the time of a step.
            "marginal_lamda0.5": Row(
                "dynamic skips, K = 5, lamda 0.5, likelihood averaged over each step's distances "
                "(removed since)",
                {},
                quoted=True,
            ),
        },
        {"preset": "small", "dropout": 0.2, **MIXTURE},
        data="ptb",
        hours=0.8,
        note=(
            f"{_GPU_NOTE} The LSTM of seed 0 was trained on both: on a CPU for the row with masks "
            "of dropout."
        ),
    ),
    "lm_tuned_small": Table(
        "Language modelling, PTB, small scale, dropout chosen on valid for each row: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        tuned(_TUNED_ROWS, _GRID, of="lm_small_dropout"),
        {"preset": "small", **MIXTURE},
        data="ptb",
        hours=0.8,
        note=f"{tuned_note(_GRID)} {_GPU_NOTE}",
        tuned=True,
    ),
    "lm_small_systems": Table(
        "Language modelling, PTB, small scale, other systems and regularisation: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        _small_systems(),
        {"preset": "small", **MIXTURE},
        data="ptb",
        hours=0.8,
    ),
    "lm": Table(
        "Language modelling, PTB, 2 x 650: perplexity",
        "LanguageModeling",
        PERPLEXITY,
        # The loss is a sum over the 35 steps of a window, 20 at the small scale: the entropy has
        # the same weight against one step.
        {
            **_LM_ROWS,
            CONTROL: trial(5)[CONTROL],
            **_straight_through(0.02 * 35 / 20),
            **_SYSTEMS,
        },
        _FULL,
        data="ptb",
        hours=_FULL_HOURS,
        note=_full_note(),
    ),
    "lm_sweep_generated": Table(
        "Perplexity against K and lamda (figure 5), generated corpus (2 x 48, 20 steps, 4 epochs)",
        "LanguageModeling",
        PERPLEXITY,
        _sweep(),
        {"preset": "small", "rnn_size": 48, "agent_units": 20, "max_epochs": 4, **MIXTURE},
        hours=0.02,
    ),
    "lm_sweep_small": Table(
        "Perplexity against K and lamda (figure 5), PTB, small scale",
        "LanguageModeling",
        PERPLEXITY,
        _sweep("lm_small"),
        {"preset": "small", **MIXTURE},
        data="ptb",
        hours=0.8,
        seeds=1,
    ),
    "lm_sweep": Table(
        "Perplexity against K and lamda (figure 5), PTB, 2 x 650",
        "LanguageModeling",
        PERPLEXITY,
        _sweep("lm"),
        _FULL,
        data="ptb",
        hours=_FULL_HOURS,
        seeds=1,
    ),
}
