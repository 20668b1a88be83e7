"""Compares a bundle's results on this machine with those of TensorFlow where it was made."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.without_tensorflow import hlo_bundle
from benchmarks.without_tensorflow.hlo_program import Network
from benchmarks.without_tensorflow.hlo_training import Text
from common.errors import InputError


def check(network: Network, text: Text, tolerance: float) -> bool:
    """Print the differences from TensorFlow's results; returns whether all are tolerable."""
    expected = {
        name.removeprefix("reference/"): a
        for name, a in network.bundle.arrays.items()
        if name.startswith("reference/")
    }
    if not expected:
        raise InputError(
            "there is nothing in the bundle to compare with; export it with --reference 10"
        )
    network.begin(network.config.seed)
    for name, program in network.programs.items():
        known = [n for n in network.meta["programs"][name]["loops"] if n is not None]
        print(
            f"{name}: portable, {program.portable_size() / 1e3:.0f} kB, loops of known length"
            f" {known}"
        )
    _, stack = text.train[0]
    n_steps = len(next(a for name, a in expected.items() if name.startswith("steps/")))
    numbers = {"learning_rate": np.float32(network.config.learning_rate), "n": np.int32(1)}
    differences: dict[str, float] = {}

    def compare(what: str, found: jax.Array, reference: np.ndarray, share: float = 1.0) -> None:
        differences[what] = max(
            differences.get(what, 0.0), hlo_bundle.difference(found, reference, share)
        )

    # At a ReLU a sum that is nearly zero can come out on its other side, and one bias then gets
    # another word's gradient.
    share = 0.999 if network.config.model == "char" else 1.0

    def compare_weights(what: str) -> None:
        for name, value in network.variables.items():
            compare(
                what if share == 1 else f"{what}, the closest {share:.1%}",
                hlo_bundle.sample(value),
                expected[name],
                share,
            )

    state = {}
    for step in range(n_steps):
        batches = {name: jnp.roll(a, -step, 0) for name, a in stack.items()}
        found = network.run("train", batches | state | numbers | {"first_step": np.int32(step)})
        state = {name: value for name, value in found.items() if name.startswith("state/")}
        for name, value in found.items():
            if name.startswith("metrics/"):
                compare(
                    f"{name.removeprefix('metrics/')} of each step",
                    value,
                    expected[f"steps/{name}"][step],
                )
    for name, value in state.items():
        compare("states", value, expected[name])
    compare_weights("weights")
    if "connections" in network.programs:
        found = network.run("connections", {"words": text.words[0]})["distances"]
        differences["distances, share that differs"] = float(
            np.mean(np.asarray(found) != expected["connections/distances"])
        )
    for program in ("evaluate", "evaluate_greedy"):
        longest = max(text.evaluation.values(), key=lambda part: part[0])
        found = network.run(
            program, longest[1] | {"n": np.int32(longest[0]), "sample": np.int32(0)}
        )
        compare(
            program.replace("_", ", "), found["metrics/loss"], expected[f"{program}/metrics/loss"]
        )
    network.begin(network.config.seed)
    network.run("train", stack | numbers | {"n": np.int32(n_steps), "first_step": np.int32(0)})
    compare_weights("weights, all steps in one call")
    print(f"after {n_steps} steps, differences in proportion to the largest value:")
    for what, error in differences.items():
        print(f"  {what:40} {error:.1e}{'' if error <= tolerance else '  TOO LARGE'}")
    return all(error <= tolerance for error in differences.values())
