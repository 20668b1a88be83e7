"""Draws figure 3: how far back gradients reach.

    python experiments/figure_gradients.py RUN_DIR RUN_DIR ...

For each run's recurrent layer, the gradient of the loss at one step T with respect to the state of
every step up to T. With --untrained, the same before training, and with other forget gates.
"""

import dataclasses
import pathlib
import sys
import tempfile
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.figures import plots  # noqa: E402
from experiments import figure_files, run_labels  # noqa: E402

WITHOUT_BIAS = "before training, forget gate's bias 0"
_MARKERS = "osD^vP*X"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientsConfig:
    """Draw the norm of dL_T / dh_t over the steps t, for the networks of some runs of one task."""

    runs: list[str] = setting([], "folders of the runs, separated by commas", path=True)
    steps: int | None = setting(
        None, "T, the step of the loss (none: 20, of number prediction the last)", minimum=2
    )
    n_texts: int = setting(200, "number of dev texts, the first with T steps", minimum=1)
    untrained: bool = setting(
        False, "beside it, before training: as the runs began, and with a forget gate's bias of 0"
    )
    out: str = setting(
        "",
        "output file without extension (empty: gradients in the folder of the first run)",
        path="stem",
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

    from common.layers.random_skip_lstm import RandomSkipLSTM

    cell, n_steps, distances = probe.layer.cell, probe.inputs.shape[1], probe.distances
    if isinstance(probe.layer, RandomSkipLSTM):  # one for each step, where its cell has one for all
        probe.layer(probe.inputs)
        distances = probe.layer.trace.distances
    states, nudges = cell.get_initial_state(batch_size=tf.shape(probe.inputs)[0]), []
    with tf.GradientTape() as tape:
        for t in range(n_steps):
            if distances is None:
                h, states = cell(probe.inputs[:, t], states)
            else:
                h, states = cell.step(probe.inputs[:, t], states, distances[:, t])
            states = tf.nest.flatten(states)
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


def without_forget_bias(probe: Probe) -> Probe | None:
    """The same with weights of the layer drawn anew, its forget gate's bias 0.

    What it reads and the loss stay those of the run. None if the layer has no such bias.
    """
    import keras
    import tensorflow as tf

    from common.layers.make_layer import run_layer

    options = {"forget_bias": 0.0, "unit_forget_bias": True}
    known = probe.layer.get_config()
    if not options.keys() <= known.keys():
        return None
    keras.utils.set_random_seed(0)
    layer = type(probe.layer).from_config({**known, **options})
    trace = run_layer(layer, probe.inputs, seed=tf.constant([0, 0]))[2]
    return probe._replace(layer=layer, distances=None if trace is None else trace.distances)


def compared(names: list[str], values: list[dict[str, np.ndarray | None]], base: int) -> str:
    """Sentences: the first gradient of each network, as a multiple of that at `base` there."""
    found = []
    for name, rows in zip(names, values, strict=True):
        ratios = []
        for title, row in rows.items():
            theirs = values[base][title]
            if rows is not values[base] and row is not None and theirs is not None:
                first = int(np.flatnonzero(row)[0])
                ratio = row[first] / theirs[first]
                ratios.append(f"{ratio:.{0 if ratio >= 10 else 1}f} times {title}")
        found += [f"{name}: {'; '.join(ratios)}"] if ratios else []
    return f" The first mark as a multiple of {names[base]}'s there: {'. '.join(found)}."


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


def panels(
    run_dir: str, n_steps: int, n_texts: int, untrained: bool
) -> tuple[Any, Probe, dict[str, np.ndarray | None]]:
    """The flags of a run, its `Probe` on the run's dev data, and its norms [T] by title.

    `untrained`: also those before training. Raises `InputError` if there are no texts of that
    length.
    """
    from experiments import tasks

    inspection, trained = tasks.load(run_dir)
    if not hasattr(inspection, "gradient_probe"):
        raise InputError(
            f"{run_dir}: expected a network with a loss at one step, found one of"
            f" {trained.config.task}; name another run"
        )
    asked = Probe(*inspection.gradient_probe(trained, n_steps, n_texts))
    found = {"after training": norms(asked)}
    if untrained:
        begun = Probe(*inspection.gradient_probe(_begun(trained), n_steps, n_texts))
        found["before training"] = norms(begun)
        other = without_forget_bias(begun)
        found[WITHOUT_BIAS] = norms(other) if other else None
    return trained.config, asked, found


def _begun(trained: Any) -> Any:
    """A run's network with the weights that its training began with."""
    from common.training.make_trainer import set_precision
    from experiments import tasks

    config = trained.config
    set_precision(config)
    with tempfile.TemporaryDirectory() as folder:  # where it keeps its words
        build = tasks.module(config.task, "experiment").build
        model = build(dataclasses.replace(config, run_dir=folder)).model
    return trained._replace(trainer=types.SimpleNamespace(model=model))


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
        flags, asked, found = panels(run_dir, config.steps or 20, config.n_texts, config.untrained)
        n_texts, n_steps = asked.inputs.shape[:2]
        data = pathlib.Path(flags.data_dir).name if flags.data_dir else "generated data"
        read[f"{flags.task}, {data}, {n_texts} dev texts of {n_steps} steps"] = run_dir
        if len(read) > 1:
            others = "; ".join(f"{what} ({where})" for what, where in read.items())
            raise InputError(
                f"expected runs of one task that read the same texts, found {others}: draw them one"
                " by one"
            )
        all_flags.append(flags)
        values.append(found)
    if config.steps not in (None, n_steps):
        raise InputError(
            f"--steps {config.steps} has no effect on {run_dir}, whose loss is at step"
            f" {n_steps}: leave it out"
        )
    titles, n_panels = list(values[0]), len(values[0])
    figure, axes = plots.figure(7 if n_panels == 1 else 4 * n_panels, 4.4, n_panels, share=True)
    columns = {"panel": [], "run": [], "step": [], "norm": []}
    steps = np.arange(1, n_steps + 1)
    names, common = run_labels.describe(all_flags)
    for one, title in zip(axes, titles, strict=True):
        each = zip(_MARKERS * len(names), names, values, strict=False)
        for i, (marker, name, rows) in enumerate(each):
            row = rows[title]
            if row is None:
                continue
            shown = np.where(row > 0, row, np.nan)
            one.plot(steps, shown, f"{marker}-", color=f"C{i}", ms=4, label=name)
            columns["panel"] += [title] * n_steps
            columns["run"] += [name] * n_steps
            columns["step"] += steps.tolist()
            columns["norm"] += row.tolist()
        one.set_yscale("log")
        one.set_xlabel("step t")
        one.set_xticks(steps if n_panels == 1 else steps[::-2][::-1])
        one.set_title(title if n_panels > 1 else "")
    axes[0].set_ylabel("mean of |dL$_T$ / dh$_t$|, divided by its sum")
    if n_panels == 1:
        del columns["panel"]
        axes[0].legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    else:
        handles = axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper left", ncols=2, frameon=False)
    caption = (
        f"How far back the gradient of the loss of step T = {n_steps} reaches, for the same"
        f" {n_texts} dev texts, distances sampled; steps that no text's step connects to have no"
        f" gradient and no mark. {', '.join([all_flags[0].task, data, *common])}."
    )
    lstm = next((i for i, flags in enumerate(all_flags) if flags.cell == "lstm"), None)
    if config.untrained and lstm is not None and len(names) > 1:
        caption += compared(names, values, lstm)
    title = ", before and after training" if config.untrained else ""
    stem = config.out or pathlib.Path(config.runs[0], "gradients")
    paths = figure_files.write(
        figure, stem, f"Long-term gradients{title} (figure 3)", caption, columns
    )
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main(GradientsConfig, {}, draw, bare=["runs..."])
