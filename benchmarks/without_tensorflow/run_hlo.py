"""Runs a bundle of export_hlo.py where TensorFlow is not installed:  python
benchmarks/without_tensorflow/run_hlo.py paper.zip --check

It needs JAX and NumPy; what it runs on is what JAX finds, a GPU or a CPU.
"""

import argparse
import datetime
import functools
import json
import math
import os
import pathlib
import sys
import time

# A plain checkout is not installed: let the script find `benchmarks` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))
# PyTorch wants some of the GPU's memory too
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks import timing  # noqa: E402
from benchmarks.networks import torch_language_model  # noqa: E402
from benchmarks.without_tensorflow import hlo_bundle  # noqa: E402
from benchmarks.without_tensorflow.hlo_program import Network  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402
from common.training import checkpoint  # noqa: E402
from LanguageModeling import reader  # noqa: E402
from LanguageModeling.schedule import learning_rate  # noqa: E402


class Text:
    """The bundle's text, cut into batches for a network."""

    def __init__(self, network: Network):
        config = network.config
        tokens = {
            split: network.bundle.arrays[f"data/{split}"].astype(np.int32)
            for split in reader.SPLITS
        }
        size = config.batch_size, config.num_unroll_steps
        self.words, self.targets = reader.streams(tokens["train"], *size)
        self.train = network.stacks("train", {"words": self.words, "targets": self.targets})
        self.evaluation = {}
        for split in ("valid", "test"):
            padded = dict(
                zip(
                    ("words", "targets", "weights"),
                    reader.padded_streams(tokens[split], *size),
                    strict=True,
                )
            )
            (self.evaluation[split],) = network.stacks("evaluate", padded)


def train_epoch(network: Network, text: Text, rate: float, first_step: int) -> dict[str, float]:
    """Metrics of one pass over the text.

    Raises FloatingPointError for a step that is not finite.
    """
    total: dict[str, np.ndarray] = {}
    state = {}
    for n, batches in text.train:
        numbers = {
            "n": np.int32(n),
            "first_step": np.int32(first_step),
            "learning_rate": np.float32(rate),
        }
        found = network.run("train", batches | state | numbers)
        if (bad := int(found["bad"])) >= 0:
            raise FloatingPointError(
                f"step {first_step + bad}: the loss or the gradient is not finite"
            )
        state = {name: value for name, value in found.items() if name.startswith("state/")}
        for name, value in found.items():
            if name.startswith("metrics/"):
                total[name] = total.get(name, 0.0) + np.asarray(value, np.float64)
        first_step += n
    return {
        "train_" + name.removeprefix("metrics/"): value[0] / value[1]
        for name, value in total.items()
    }


def perplexity(
    network: Network, text: Text, split: str, program: str = "evaluate", sample: int = 0
) -> float:
    """Of a split's tokens; `sample` numbers the draw of distances.

    Raises FloatingPointError where it is too large for a number.
    """
    n, batches = text.evaluation[split]
    total, weight = network.run(program, batches | {"n": np.int32(n), "sample": np.int32(sample)})[
        "metrics/loss"
    ]
    mean = float(total) / float(weight)
    if not mean < math.log(sys.float_info.max):
        raise FloatingPointError(f"the loss on {split} is {mean}")
    return math.exp(mean)


# -------------------------------------------------------------------------------------------- check


def check(network: Network, text: Text, tolerance: float) -> bool:
    """Print how far this machine is from what TensorFlow computed where the bundle was made;
    whether all is within the tolerance.
    """
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


# -------------------------------------------------------------------------------------------- speed


def bench(networks: dict[str, tuple[Network, Text]], n_steps: int, runs: int) -> dict:
    """Milliseconds of one training step, calls of `n_steps` interleaved; beside PyTorch's LSTM
    where that is installed.
    """
    functions, compile_seconds = {}, {}
    for path, (network, text) in networks.items():
        n, batches = text.train[0]
        if n_steps > n:
            raise InputError(
                f"--bench {n_steps} expects as many batches in a call, {path} has {n}; choose fewer"
            )
        numbers = {
            "n": np.int32(n_steps),
            "first_step": np.int32(0),
            "learning_rate": np.float32(1e-3),
        }
        functions[path] = functools.partial(_one_call, network, batches | numbers)
        start = time.perf_counter()
        functions[path]()
        compile_seconds[path] = round(time.perf_counter() - start, 2)
        if network.config.model == "word":
            words = np.concatenate([text.words, text.targets[:, :, -1:]], -1)[:n_steps]
            functions |= _torch(network, words)
    seconds = {
        name: [s / n_steps for s in values]
        for name, values in timing.interleaved(functions, runs).items()
    }
    found = {name: round(timing.milliseconds(values), 3) for name, values in seconds.items()}
    for name, value in found.items():
        print(f"{name:40} {value:9.3f} ms a step")
    memory = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "milliseconds": found,
        "steps_in_a_call": n_steps,
        "first_call_seconds": compile_seconds,
        "peak_bytes": memory,
    }


def _one_call(network: Network, arguments: dict) -> int:
    return int(network.run("train", arguments)["bad"])  # waits for it


def _torch(network: Network, words: np.ndarray) -> dict:
    """Training steps of PyTorch's plain LSTM of the same size, in each precision that the device
    has.
    """
    try:
        import torch
    except ImportError:
        return {}
    gpu = torch.cuda.is_available()
    size = f"torch LSTM, {network.config.rnn_layers} x {network.config.rnn_size}"
    precisions = {f"{size}, float32": False} | ({f"{size}, TF32": True} if gpu else {})
    n_words = network.meta["n_words"]
    return {
        name: torch_language_model.steps(
            network.config, words, n_words, "cuda" if gpu else "cpu", tf32
        )
        for name, tf32 in precisions.items()
    }


# -------------------------------------------------------------------------------------- a whole run


def train(
    network: Network,
    text: Text,
    seed: int,
    max_epochs: int,
    folder: pathlib.Path | None,
    every: float = 60.0,
) -> dict:
    """Train with the learning rates of the preset, select on valid, test once; goes on where a run
    in `folder` stands.

    The folder gets checkpoints, one every so many seconds and at last `checkpoints/best.npz`, which
    `--load_model` of LanguageModeling/RL_train.py takes.
    """
    network.begin(seed)
    records: list[dict] = []
    best, saved = dict(network.variables), time.monotonic()
    found = checkpoint.load_latest(folder) if folder and folder.is_dir() else None
    if found:
        _, arrays, meta = found
        records = meta["records"]
        if meta["seed"] != seed:
            raise InputError(
                f"{folder} holds a run of seed {meta['seed']}, not {seed}; choose another folder"
            )
        network.variables, best = (
            {name: network.put(arrays[kind + name]) for name in best} for kind in ("now/", "best/")
        )
        print(f"going on after epoch {len(records)}", flush=True)
    while len(records) < max_epochs:
        rate, start = learning_rate(network.config, records), time.monotonic()
        step = len(text.words) * len(records)
        metrics = train_epoch(network, text, rate, step)
        seconds = time.monotonic() - start
        record = {
            "epoch": len(records) + 1,
            "step": step + len(text.words),
            "learning_rate": rate,
            **metrics,
        }
        record |= {
            "valid_perplexity": perplexity(network, text, "valid"),
            "seconds": round(seconds, 4),
        }
        if record["valid_perplexity"] < min(
            (r["valid_perplexity"] for r in records), default=math.inf
        ):
            best = {name: jnp.copy(value) for name, value in network.variables.items()}
        records.append(record)
        print(
            f"epoch {record['epoch']}: valid_perplexity {record['valid_perplexity']:.5g} "
            f" ({seconds:.1f} s)",
            flush=True,
        )
        if folder and (time.monotonic() - saved > every or len(records) == max_epochs):
            arrays = {
                kind + name: np.asarray(a)
                for kind, of in (("now/", network.variables), ("best/", best))
                for name, a in of.items()
            }
            checkpoint.save(folder, record["step"], arrays, {"records": records, "seed": seed})
            saved = time.monotonic()
    network.variables = best
    if folder:
        checkpoint.save(
            folder,
            records[-1]["step"],
            {name: np.asarray(a) for name, a in best.items()},
            name="best",
        )
    result = {
        f"{split}_perplexity{suffix}": perplexity(network, text, split, f"evaluate{suffix}")
        for split in ("valid", "test")
        for suffix in ("", "_greedy")
    }
    print("  ".join(f"{name} {value:.5g}" for name, value in result.items()), flush=True)
    seconds = sorted(record["seconds"] for record in records)[len(records) // 2]
    best_epoch = min(records, key=lambda record: record["valid_perplexity"])["epoch"]
    result |= {
        "best_epoch": best_epoch,
        "epochs": len(records),
        "n_weights": network.meta["n_weights"],
        "seed": seed,
    }
    return result | {
        "seconds_per_epoch": seconds,
        "tokens_per_second": round(text.words.size / seconds, 1),
        "records": records,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", nargs="+", help="of export_hlo.py; several with --bench")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare with what TensorFlow computed (export_hlo.py --reference)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-3,
        help="largest difference that --check lets pass, in proportion",
    )
    parser.add_argument(
        "--bench", type=int, metavar="STEPS", help="time calls of so many training steps"
    )
    parser.add_argument("--runs", type=int, default=7, help="counted calls of --bench")
    parser.add_argument(
        "--epochs",
        type=int,
        nargs="?",
        const=0,
        help="train, so many epochs (those of the preset unless given), and test",
    )
    parser.add_argument("--seed", type=int, help="of --epochs (the exported run's unless given)")
    home = lambda path: pathlib.Path(path).expanduser()  # noqa: E731
    parser.add_argument(
        "--folder",
        type=home,
        help="for checkpoints of --epochs, from which the same command goes on",
    )
    parser.add_argument(
        "--results", type=os.path.expanduser, help="JSON file for what was found, with the hardware"
    )
    args = parser.parse_args()
    device = jax.devices()[0]
    print(f"jax {jax.__version__} on {device.device_kind}", flush=True)
    try:
        networks = {}
        for path in args.bundle:
            network = Network(hlo_bundle.read(path))
            networks[path] = network, Text(network)
        network, text = networks[args.bundle[0]]
        found, good = {}, True
        if args.check:
            good = check(network, text, args.tolerance)
        if args.bench:
            found |= bench(networks, args.bench, args.runs)
        if args.epochs is not None:
            seed = network.config.seed if args.seed is None else args.seed
            found |= train(
                network, text, seed, args.epochs or network.config.max_epochs, args.folder
            )
    except (InputError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if args.results:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        versions = {"jax": jax.__version__, "numpy": np.__version__, **network.meta["versions"]}
        about = {
            "flags": network.meta["flags"],
            "hardware": device.device_kind,
            "versions": versions,
            "commit": network.meta["commit"],
        }
        about["written_at"] = now
        atomic_write(args.results, json.dumps(found | about, indent=1) + "\n")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
