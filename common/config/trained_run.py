"""The flags of commands that use a trained run."""

import dataclasses

from .flags import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """Which run, and which of its weights."""

    run_dir: str = setting("", "folder of the run", path=True)
    checkpoint: str = setting("", "checkpoint file (empty: the best epoch of the run)", path=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture(TrainedRun):
    """How many of its predictions to mix."""

    samples: int | None = setting(
        None,
        "sampled chains in an additional mixture (none: --eval_samples of the run)",
        minimum=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Mixture):
    """How to evaluate it anew."""

    mc_dropout: bool | None = setting(
        None, "masks of dropout in that mixture, as in training (none: as in the run)"
    )
