"""Compiles a bundle for an H200, on a machine without a GPU.

    python benchmarks/without_tensorflow/compile_for_gpu.py paper.zip

It needs JAX with its CUDA plugin. Nothing is run: it shows whether XLA accepts the program, and
which kernels and loops the compiled program has.
"""

import argparse
import collections
import os
import pathlib
import re
import sys
import time

# A plain checkout is not installed: let the script find `benchmarks` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from benchmarks.without_tensorflow import hlo_bundle  # noqa: E402
from common.errors import InputError  # noqa: E402

# What the CUDA runtime says of an NVIDIA H200, as a `GpuTargetConfigProto` of XLA.
H200 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H200"
runtime_version { major: 13 minor: 0 patch: 0 }
dnn_version_info { major: 9 minor: 12 }
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132
  clock_rate_ghz: 1.98
  fpus_per_core: 128
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  l2_cache_size: 62914560
  memory_bandwidth: 4800000000000
  device_memory_size: 150754820096
}
"""

NO_KERNEL = (
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "fusion-done",
    "copy-done",
    "async-done",
)
# NVIDIA's matrix products and convolutions, the only calls out of the program that are expected
VENDOR = ("__cublas", "__cudnn")


def compile_program(bundle: hlo_bundle.Bundle, name: str) -> object:
    """The executable of a program, for the H200."""
    os.environ |= {"JAX_PLATFORMS": "cpu", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"}
    # there is no GPU to try kernels on
    os.environ.setdefault("XLA_FLAGS", "--xla_gpu_autotune_level=0")
    import jax
    from jax.experimental import topologies

    from benchmarks.without_tensorflow.hlo_program import Program

    device = topologies.get_topology_desc(
        platform="cuda", target_config=H200, topology="1x1x1"
    ).devices[0]
    sharding = jax.sharding.SingleDeviceSharding(device)
    program = Program(bundle, name, "cuda")
    variables, arguments = (
        {
            key: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding)
            for key, s in program.shapes(kind).items()
        }
        for kind in ("variable", "argument")
    )
    return jax.jit(program, donate_argnums=0).lower(variables, arguments).compile()


class Computation:
    """What one computation of a compiled module launches, and the loops in it.

    Args:
        lines: instructions of all computations, by name. name: of this one.
    """

    def __init__(self, lines: dict[str, list[str]], name: str):
        self.kernels = 0  # launched once, outside the loops
        # of code that is not the program's own, here and in the loops
        self.custom_calls: collections.Counter = collections.Counter()
        # their lengths, None for one that is not known, and bodies
        self.loops: list[tuple[int | None, Computation]] = []
        for line in lines[name]:
            # The type in front of the operation has no word right before a bracket.
            operation = re.search(r" ([a-z][a-z\-]*)\(", line)[1]
            if operation == "while":
                known = re.search(r'"known_trip_count":{"n":"(\d+)"', line)
                body = Computation(lines, _called(line, "body"))
                self.loops.append((int(known[1]) if known else None, body))
                self.custom_calls += body.custom_calls
            elif operation == "call":
                called = Computation(lines, _called(line, "to_apply"))
                self.kernels += called.kernels
                self.loops += called.loops
                self.custom_calls += called.custom_calls
            elif operation not in NO_KERNEL:
                self.kernels += 1
                if operation == "custom-call":
                    self.custom_calls[re.search(r'custom_call_target="([^"]*)"', line)[1]] += 1

    def launches(self) -> int:
        """The number of kernels that one run launches; a loop of unknown length counts once."""
        return self.kernels + sum((length or 1) * body.launches() for length, body in self.loops)

    def describe(self, indent: str = "") -> None:
        """Print the loops."""
        for length, body in self.loops:
            print(
                f"{indent}loop of {length or 'any number of'} steps, in each {body.kernels} kernels"
                f" and {len(body.loops)} loops"
            )
            body.describe(indent + "  ")


def _called(line: str, what: str) -> str:
    return re.search(rf"{what}=%?([\w.\-]+)", line)[1]


def read(text: str) -> Computation:
    """The entry computation of a compiled module, from its text."""
    lines: dict[str, list[str]] = {}
    for line in text.splitlines():
        if head := re.match(r"(ENTRY )?%?([\w.\-]+) .*{$", line):
            name = "ENTRY" if head[1] else head[2]
            lines[name] = []
        elif " = " in line:
            lines[name].append(line)
    return Computation(lines, "ENTRY")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", help="of export_hlo.py")
    parser.add_argument(
        "--programs",
        nargs="+",
        default=["train"],
        help="of the bundle: train (unless given), evaluate, ...",
    )
    parser.add_argument(
        "--text",
        type=lambda path: pathlib.Path(path).expanduser(),
        help="folder for the compiled programs, to be read",
    )
    args = parser.parse_args()
    bundle, good = hlo_bundle.read(args.bundle), True
    for name in args.programs:
        start = time.perf_counter()
        compiled = compile_program(bundle, name)
        text, memory = compiled.as_text(), compiled.memory_analysis()
        entry = read(text)
        print(f"{name}: compiled for an H200 in {time.perf_counter() - start:.0f} s")
        print(
            f"  {memory.argument_size_in_bytes / 1e6:.1f} MB of inputs,"
            f" {memory.temp_size_in_bytes / 1e6:.1f} MB beside them"
        )
        entry.describe("  ")
        print(
            f"  {entry.launches()} kernels for a single step, custom calls:"
            f" {dict(entry.custom_calls) or 'none'}",
            flush=True,
        )
        unknown = [length for _, body in entry.loops for length, _ in body.loops if length is None]
        good &= not unknown and all(target.startswith(VENDOR) for target in entry.custom_calls)
        if args.text:
            args.text.mkdir(parents=True, exist_ok=True)
            (args.text / f"{name}.txt").write_text(text, encoding="utf-8")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
