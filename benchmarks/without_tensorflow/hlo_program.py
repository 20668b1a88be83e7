"""HLO programs of a bundle as functions for `jax.jit`; needs only JAX and NumPy."""

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # Keras counts its steps in 64 bits

import jax.export  # noqa: E402
import jax.extend.mlir  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from benchmarks.without_tensorflow.hlo_bundle import Bundle, initial_value  # noqa: E402

Arrays = dict[str, Any]  # by name


class Program:
    """A function of (variables, arguments) that returns (variables, results), dicts of arrays.

    Variables that the program does not assign are returned unchanged.

    Args:
        bundle, name: where from. platform: to compile for, "cpu" or "cuda"; by default that of this
            machine.
    """

    def __init__(self, bundle: Bundle, name: str, platform: str | None = None):
        self.__name__ = name
        layout = bundle.meta["programs"][name]
        self.parameters, self.results, self.stream = (
            layout["parameters"],
            layout["results"],
            layout["stream"],
        )
        self.constants = {
            p["name"]: bundle.arrays[p["name"]] for p in self.parameters if p["kind"] == "constant"
        }
        self.module = jax.extend.mlir.hlo_to_stablehlo(bundle.modules[name])
        platform = platform or {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
        self._call = _exported(name, self.module, self.parameters, self.results, platform).call

    def __call__(self, variables: Arrays, arguments: Arrays) -> tuple[Arrays, Arrays]:
        given = {"variable": variables, "argument": arguments, "constant": self.constants}
        found = jax.tree.leaves(self._call(*(given[p["kind"]][p["name"]] for p in self.parameters)))
        by_kind: dict[str, Arrays] = {"variable": dict(variables), "result": {}}
        for one, value in zip(self.results, found, strict=True):
            by_kind[one["kind"]][one["name"]] = value
        return by_kind["variable"], by_kind["result"]

    def shapes(self, kind: str) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes of its inputs of that kind, by name."""
        return {
            p["name"]: jax.ShapeDtypeStruct(p["shape"], p["dtype"])
            for p in self.parameters
            if p["kind"] == kind
        }

    def portable_size(self) -> int:
        """Bytes of the program in the portable form that any later compiler reads.

        Raises an exception if an operation has none.
        """
        from jax.interpreters import mlir
        from jaxlib.mlir import ir
        from jaxlib.mlir.dialects import stablehlo

        with mlir.make_ir_context():
            version = stablehlo.get_current_version()
            return len(
                jax.extend.mlir.serialize_portable_artifact(ir.Module.parse(self.module), version)
            )


def _exported(
    name: str, module: bytes, parameters: list, results: list, platform: str
) -> jax.export.Exported:
    """The module in the form of one that JAX exported, which is how JAX accepts it."""
    inputs, outputs = (
        tuple(jax.core.ShapedArray(one["shape"], jnp.dtype(one["dtype"])) for one in ones)
        for ones in (parameters, results)
    )
    tree = jax.tree.structure
    known = types.SimpleNamespace(
        fun_name=name,
        mlir_module_serialized=module,
        calling_convention_version=jax.export.maximum_supported_calling_convention_version,
        platforms=(platform,),
        nr_devices=1,
        in_tree=tree(((0,) * len(inputs), {})),
        in_avals=inputs,
        module_kept_var_idx=tuple(range(len(inputs))),
        out_tree=tree((0,) * len(outputs)),
        out_avals=outputs,
        uses_global_constants=False,
        _get_vjp=None,
    )
    # on one device there is nothing to say of shardings
    for direction, values in (("in", inputs), ("out", outputs)):
        for field in (f"{direction}_shardings_hlo", f"_{direction}_named_shardings"):
            setattr(known, field, (None,) * len(values))
    for field in ("ordered_effects", "unordered_effects", "disabled_safety_checks"):
        setattr(known, field, ())
    known._has_named_shardings = True
    return jax.export.Exported(
        **{
            field.name: getattr(known, field.name)
            for field in dataclasses.fields(jax.export.Exported)
        }
    )


class Network:
    """The language model of a bundle, with its own weights on this machine's device."""

    def __init__(self, bundle: Bundle):
        self.bundle, self.meta = bundle, bundle.meta
        self.config = types.SimpleNamespace(**bundle.meta["flags"])
        self.programs = {name: Program(bundle, name) for name in bundle.modules}
        self._compiled = {
            name: jax.jit(program, donate_argnums=0) for name, program in self.programs.items()
        }
        # as results are: one compilation serves both
        self.put = functools.partial(jax.device_put, device=jax.devices()[0])
        self.begin(self.config.seed)

    def begin(self, seed: int) -> None:
        """Set the initial weights of a seed, which determines all random numbers of the run."""
        self.seed = seed
        self.variables = {
            v["name"]: self.put(initial_value(self.bundle, i, seed))
            for i, v in enumerate(self.meta["variables"])
        }

    def run(self, name: str, arguments: Arrays) -> Arrays:
        """Run a program; returns its results, and replaces the variables.

        Unless given, state and seed are those at the start of a run.
        """
        program = self.programs[name]
        beginning = {"seed": np.int32([self.seed, program.stream])}
        for key, shape in program.shapes("argument").items():
            if key.startswith("state/") and key not in arguments:
                beginning[key] = self.put(jnp.zeros(shape.shape, shape.dtype))
        self.variables, results = self._compiled[name](self.variables, beginning | arguments)
        return results

    def stacks(self, name: str, batches: Mapping[str, np.ndarray]) -> list[tuple[int, Arrays]]:
        """Batches [N, B, ...] on the device, in stacks of as many as the program takes.

        Returns the number of batches in each stack, before it was filled up, with the stack.
        """
        size = self.programs[name].shapes("argument")["batches/words"].shape[0]
        n_batches = len(batches["words"])
        found = []
        for start in range(0, n_batches, size):
            rows = np.minimum(np.arange(start, start + size), n_batches - 1)
            part = {f"batches/{key}": self.put(np.asarray(a)[rows]) for key, a in batches.items()}
            found.append((min(size, n_batches - start), part))
        return found
