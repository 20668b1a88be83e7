"""Runs a bundle that export_hlo.py wrote, on a machine without TensorFlow.

    python benchmarks/without_tensorflow/run_hlo.py paper.zip --check

It needs JAX and NumPy, and runs on the device that JAX finds, a GPU or a CPU.
"""

import argparse
import functools
import json
import os
import pathlib
import sys
import time

# A plain checkout is not installed: let the script find `benchmarks` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))
# leaves GPU memory for PyTorch
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

try:
    import jax
except ModuleNotFoundError:
    print("error: expected JAX, found none: pip install jax, or jax[cuda13]", file=sys.stderr)
    sys.exit(2)
import numpy as np  # noqa: E402

from benchmarks import timing  # noqa: E402
from benchmarks.networks import torch_language_model  # noqa: E402
from benchmarks.without_tensorflow import hlo_bundle  # noqa: E402
from benchmarks.without_tensorflow.hlo_check import check  # noqa: E402
from benchmarks.without_tensorflow.hlo_program import Network  # noqa: E402
from benchmarks.without_tensorflow.hlo_training import Text, train  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402
from common.training import provenance  # noqa: E402


def bench(networks: dict[str, tuple[Network, Text]], n_steps: int, runs: int) -> dict:
    """Milliseconds of one training step, in interleaved calls of `n_steps`.

    PyTorch's LSTM is timed beside it if PyTorch is installed. A part of benchmarks/RESULTS.md.
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
        precision = ", bfloat16" * network.config.mixed_precision
        name = f"{network.config.cell}{precision}"
        if name in functions:
            raise InputError(f"--bench expects one bundle of each kind, found two of {name}")
        functions[name] = functools.partial(_one_call, network, batches | numbers)
        start = time.perf_counter()
        functions[name]()
        compile_seconds[name] = round(time.perf_counter() - start, 2)
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
    reference = next(iter(found))
    memory = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "part": "gpu_step",
        "title": "One training step of the paper's language model on a GPU, within calls of"
        f" {n_steps}; float32 is TF32 where not said otherwise",
        "runs": runs,
        "milliseconds": found,
        "reference": reference,
        "reference_over": {
            name: round(timing.ratio(seconds, reference, name), 3) for name in seconds
        },
        "steps_in_a_call": n_steps,
        "first_call_seconds": compile_seconds,
        "peak_bytes": memory,
    }


def _one_call(network: Network, arguments: dict) -> int:
    return int(network.run("train", arguments)["bad"])  # waits for it


def _torch(network: Network, words: np.ndarray) -> dict:
    """Training steps of PyTorch's plain LSTM of the same size, in each precision of the device."""
    try:
        import torch
    except ImportError:
        return {}
    gpu = torch.cuda.is_available()
    size = f"torch LSTM, {network.config.rnn_layers} x {network.config.rnn_size}"
    precisions = {"float32": {}, "bfloat16": {"bfloat16": True}} | (
        {"TF32": {"tf32": True}} if gpu else {}
    )
    device, n_words = "cuda" if gpu else "cpu", network.meta["n_words"]
    return {
        f"{size}, {name}": torch_language_model.steps(
            network.config, words, n_words, device, **precision
        )
        for name, precision in precisions.items()
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
    start, began = provenance.describe_start(), time.monotonic()
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
        about = {
            "task": "LanguageModeling",
            "flags": network.meta["flags"] | {"seed": network.seed},
            "seed": network.seed,
            **start,
            "exported_by": network.meta["command"],
            "commit": network.meta["commit"],
            "versions": network.meta["versions"]
            | {"jax": jax.__version__, "python": start["versions"]["python"]},
            "finished_at": provenance.now(),
            "wall_seconds": round(time.monotonic() - began, 3),
        }
        if "torch" in sys.modules:
            about["versions"]["torch"] = sys.modules["torch"].__version__
        if device.platform == "gpu":
            about["hardware"]["gpus"] = [device.device_kind]
        records = {"records": found.pop("records")} if "records" in found else {}
        atomic_write(args.results, json.dumps(found | about | records, indent=1) + "\n")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
