"""What runs are called in a figure that compares them."""

from typing import Any

from common.config import settings


def describe(all_flags: list[Any]) -> tuple[list[str], list[str]]:
    """The names of runs, and the flags that all have in common.

    A name is the cell, K and lamda if it has them, and other flags in which the runs differ.
    """
    known = settings(type(all_flags[0]))
    free = {
        "cell",
        "n_actions",
        "lamda",
        "data_dir",
        *(name for name, one in known.items() if not one.affects_result),
    }
    differing = [
        name
        for name in known
        if name not in free and len({str(getattr(flags, name)) for flags in all_flags}) > 1
    ]
    names = []
    for flags in all_flags:
        parts = [flags.cell]
        if flags.cell in ("dynamic_skip", "attention", "random_skip"):
            parts.append(f"K = {flags.n_actions}")
        if flags.cell in ("dynamic_skip", "attention", "random_skip", "fixed_skip"):
            parts.append(f"lamda {flags.lamda:g}")
        parts += [
            f"{name} {getattr(flags, name)}"
            for name in differing
            if getattr(flags, name) not in (None, "")
        ]
        names.append(", ".join(parts))
    first = all_flags[0]
    said = [("preset", f"preset {first.preset}"), ("rnn_size", f"H = {first.rnn_size}")]
    said += [("max_epochs", _extent(first))] if "max_train_examples" not in differing else []
    return names, [
        text for name, text in [*said, ("seed", f"seed {first.seed}")] if name not in differing
    ]


def _extent(flags: Any) -> str:
    """How long the runs were trained."""
    limit = getattr(flags, "max_train_examples", 0)
    return f"up to {flags.max_epochs} epochs" + (f" over {limit:,} training texts" if limit else "")
