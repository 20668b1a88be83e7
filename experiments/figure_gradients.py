"""Draws figure 3: how far back gradients reach.

    python experiments/figure_gradients.py RUN_DIR RUN_DIR ...

For each run's recurrent layer, the gradient of the loss at one step T with respect to the state of
every step up to T.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting, settings  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files  # noqa: E402

_MARKERS = "osD^vP*X"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientsConfig:
    """Draw the norm of dL_T / dh_t over the steps t, for the networks of some runs of one task."""

    runs: list[str] = setting([], "folders of the runs, separated by commas", path=True)
    steps: int = setting(20, "T, the step of the loss", minimum=2)
    n_texts: int = setting(200, "number of dev texts, the first with T steps", minimum=1)
    out: str = setting(
        str(figure_files.FOLDER / "gradients"), "output file without extension", path="stem"
    )


class Probe(NamedTuple):
    """What is measured in a network: a layer, its inputs and distances, and a loss.

    The layer; its inputs [B, T, D]; the distances [B, T] to take (or None); a function from h_T [B,
    H] to losses [B].
    """

    layer: Any
    inputs: Any
    distances: Any
    loss: Callable[[Any], Any]


def norms(probe: Probe) -> np.ndarray:
    """The mean over B texts of |dL_T / dh_t|, normalised to a sum of 1 over the steps: [T].

    Gui et al. 2019, figure 3. dh_t perturbs the state after step t: it reaches the loss through all
    connections to that state.
    """
    import tensorflow as tf

    cell, n_steps = probe.layer.cell, probe.inputs.shape[1]
    states, h, nudges = cell.get_initial_state(batch_size=tf.shape(probe.inputs)[0]), None, []
    states = list(states) if isinstance(states, list | tuple) else [states]
    with tf.GradientTape() as tape:
        for t in range(n_steps):
            if probe.distances is None:
                h, states = cell(probe.inputs[:, t], states)
            else:
                h, states = cell.step(probe.inputs[:, t], states, probe.distances[:, t])
            states = list(states) if isinstance(states, list | tuple) else [states]
            places = _places(h, states)
            nudge = tf.zeros_like(h)
            tape.watch(nudge)
            nudges.append(nudge)
            h = h + nudge
            for i in places:
                states[i] = tf.concat(
                    [states[i][:, : -h.shape[1]], states[i][:, -h.shape[1] :] + nudge], 1
                )
        loss = tf.reduce_sum(probe.loss(h))
    gradients = np.stack(
        [gradient.numpy() for gradient in tape.gradient(loss, nudges, unconnected_gradients="zero")]
    )
    mean = np.linalg.norm(gradients, axis=-1).mean(1)
    return mean / mean.sum()


def _places(h: Any, states: list) -> list[int]:
    """The indices of the states whose newest part is h.

    Cells keep the past steps side by side, the oldest first.
    """
    size = h.shape[1]
    return [
        i
        for i, s in enumerate(states)
        if s.shape[1] >= size and np.array_equal(s[:, -size:].numpy(), h.numpy())
    ]


def probe(run_dir: str, n_steps: int, n_texts: int) -> tuple[Any, Probe]:
    """The flags of a run, and its `Probe` on the run's dev data.

    Raises `InputError` if there are no texts of that length.
    """
    from experiments import tasks

    inspection, trained = tasks.load(run_dir)
    if not hasattr(inspection, "gradient_probe"):
        raise InputError(
            f"{run_dir}: expected a network with a loss at one step, found one of"
            f" {trained.config.task}; name another run"
        )
    return trained.config, Probe(*inspection.gradient_probe(trained, n_steps, n_texts))


def draw(config: GradientsConfig) -> list[pathlib.Path]:
    """Write the figure; print and return its paths.

    Raises `InputError` for runs that cannot be used or compared.
    """
    if not config.runs:
        raise InputError(
            "expected folders of runs: python experiments/figure_gradients.py RUN_DIR RUN_DIR ..."
        )
    all_flags, values, read = [], [], {}
    for run_dir in config.runs:
        flags, asked = probe(run_dir, config.steps, config.n_texts)
        n_texts, n_steps = asked.inputs.shape[:2]
        data = pathlib.Path(flags.data_dir).name if flags.data_dir else "generated data"
        read[f"{flags.task}, {data}, {n_texts} dev texts of {n_steps} steps"] = run_dir
        if len(read) > 1:
            found = "; ".join(f"{what} ({where})" for what, where in read.items())
            raise InputError(
                f"expected runs of one task that read the same texts, found {found}: draw them one"
                " by one"
            )
        all_flags.append(flags)
        values.append(norms(asked))
    figure, (axes,) = plots.figure(7, 4.4)
    columns = {"run": [], "step": [], "norm": []}
    steps = np.arange(1, n_steps + 1)
    names, common = describe(all_flags)
    for marker, name, row in zip(_MARKERS * len(names), names, values, strict=False):
        axes.plot(steps, np.where(row > 0, row, np.nan), f"{marker}-", ms=4, label=name)
        columns["run"] += [name] * n_steps
        columns["step"] += steps.tolist()
        columns["norm"] += row.tolist()
    axes.set_yscale("log")
    axes.set_xlabel("step t")
    axes.set_ylabel("mean of |dL$_T$ / dh$_t$|, divided by its sum")
    axes.set_xticks(steps)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    caption = (
        f"How far back the gradient of the loss of step T = {n_steps} reaches, for the same"
        f" {n_texts} dev texts, distances sampled; steps that no text's step connects to have no"
        f" gradient and no mark. {', '.join([all_flags[0].task, data, *common])}."
    )
    paths = figure_files.write(
        figure, config.out, "Long-term gradients (figure 3)", caption, columns
    )
    for path in paths:
        print(path)
    return paths


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


if __name__ == "__main__":
    main(GradientsConfig, {}, draw, bare=["runs..."])
