"""Converts a TensorFlow function to an HLO module, which XLA compiles without TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow.compiler.xla.service.hlo_pb2 import HloModuleProto

# What StableHLO has no word for, or other machines no meaning.
NOT_PORTABLE = (
    "custom-call",
    "copy",
    "rng",
    "rng-get-and-update-state",
    "infeed",
    "outfeed",
    "send",
    "recv",
    "domain",
    "fusion",
)


class Module(NamedTuple):
    """An HLO module, its inputs, outputs and loops; and the same function compiled here."""

    proto: HloModuleProto
    layout: dict[str, list]
    constants: dict[str, np.ndarray]
    run: Callable[..., dict[str, np.ndarray]]


def make_module(
    function: Callable, arguments: Mapping[str, Any], variables: Mapping[str, Any], name: str
) -> Module:
    """Compile `function(**arguments)`, which returns a nest of tensors and may assign variables.

    In the module, the value of a variable is an input and, if it was assigned, an output.

    Args:
        arguments: nests of arrays of the shapes that the program will take. variables: all that
            `function` uses, by name.
    Raises:
        ValueError: an operation that only TensorFlow can run.
    """
    names, specs = [], []
    for path, value in keras.tree.flatten_with_path(dict(arguments)):
        names.append(_joined(path))
        specs.append(tf.TensorSpec.from_tensor(tf.convert_to_tensor(value)))
    returned: list[str] = []

    @tf.function(jit_compile=True, autograph=False)
    def flat(*tensors: tf.Tensor):
        found = keras.tree.flatten_with_path(
            function(**keras.tree.pack_sequence_as(dict(arguments), tensors))
        )
        returned[:] = [_joined(path) for path, _ in found]
        return [value for _, value in found]

    graph = flat.get_concrete_function(*specs)
    proto = HloModuleProto.FromString(
        flat.experimental_get_compiler_ir(*specs)(stage="hlo_serialized", platform_name="CPU")
    )
    _simplify(proto)
    if found := sorted(
        {i.opcode for c in proto.computations for i in c.instructions} & {*NOT_PORTABLE}
    ):
        raise ValueError(f"{name}: XLA on other machines has no {', '.join(found)}")

    parameters = [_entry("argument", path, spec) for path, spec in zip(names, specs, strict=True)]
    by_handle = {id(_variable(v).handle): path for path, v in variables.items()}
    constants = {}
    for i, tensor in enumerate(graph.captured_inputs):
        if tensor.dtype == tf.resource:
            path = by_handle[id(tensor)]
            parameters.append(_entry("variable", path, _variable(variables[path])))
        else:
            constants[f"constant/{name}/{i}"] = tensor.numpy()
            parameters.append(_entry("constant", f"constant/{name}/{i}", tensor))
    results = [
        _entry("result", path, tensor) for path, tensor in zip(returned, graph.outputs, strict=True)
    ]
    assigned = {
        e.output_shape_index[0]: e.parameter_number for e in proto.input_output_alias.entries
    }
    results += [parameters[assigned[i]] for i in range(len(results), len(results) + len(assigned))]
    shapes = proto.host_program_shape
    for entries, found in (
        (parameters, shapes.parameters),
        (results, shapes.result.tuple_shapes or [shapes.result]),
    ):
        for entry, shape in zip(entries, found, strict=True):
            if not tf.TensorShape(entry["shape"]).is_compatible_with(list(shape.dimensions)):
                raise AssertionError(
                    f"{name}: {entry} has the shape {list(shape.dimensions)} in the module: another"
                    " order than expected"
                )
            entry["shape"] = list(shape.dimensions)

    def run(**given: Any) -> dict[str, np.ndarray]:
        found = graph(*map(tf.convert_to_tensor, keras.tree.flatten(given)))
        return {path: value.numpy() for path, value in zip(returned, found, strict=True)}

    return Module(
        proto,
        {"parameters": parameters, "results": results, "loops": trip_counts(proto)},
        constants,
        run,
    )


def _joined(path: tuple) -> str:
    return "/".join(map(str, path))


def _variable(variable: Any) -> tf.Variable:
    return variable if isinstance(variable, tf.Variable) else variable.value  # of Keras'


def _entry(kind: str, name: str, tensor: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "shape": list(tensor.shape), "dtype": tensor.dtype.name}


def _simplify(proto: HloModuleProto) -> None:
    """Remove source locations, which are most of the module, and copies of assigned values."""
    proto.ClearField("stack_frame_index")
    for computation in proto.computations:
        for instruction in computation.instructions:
            instruction.ClearField("metadata")
            if instruction.opcode == "copy":
                instruction.opcode = "reshape"  # to the shape that it has


# -------------------------------------------------------------------------------------------- loops


def trip_counts(proto: HloModuleProto) -> list[int | None]:
    """How often the body of each loop runs; None if the module does not say so.

    It does for a counter that starts at a constant, is incremented by one and compared with a
    constant. Only such a loop stays on a GPU; for any other, XLA asks the host after every step
    whether to continue.
    """
    computations = {c.id: c for c in proto.computations}

    def value(computation: Any, of: int, arguments: Sequence[Callable] | None, path: tuple = ()):
        """The value of instruction `of` (at `path`, if it is a tuple): a number or an expression.

        None if it is not of interest.
        """
        one = next(i for i in computation.instructions if i.id == of)
        operands = [
            lambda path=(), o=o: value(computation, o, arguments, path) for o in one.operand_ids
        ]
        if one.opcode == "parameter":
            return arguments[one.parameter_number](path) if arguments else None
        if one.opcode == "tuple":
            return operands[path[0]](path[1:]) if path else None
        if one.opcode == "get-tuple-element":
            return operands[0]((one.tuple_index, *path))
        if one.opcode == "call":
            called = computations[one.called_computation_ids[0]]
            return value(called, called.root_id, operands, path)
        if one.opcode in ("reshape", "copy", "convert"):
            return operands[0](path)
        if one.opcode == "constant":
            numbers = [*one.literal.s32s, *one.literal.s64s]
            return numbers[0] if len(numbers) == 1 else None
        if one.opcode in ("add", "and", "compare"):
            return (one.comparison_direction or one.opcode, *(operand() for operand in operands))
        return None

    def slot(path: tuple):
        return ("slot", *path)

    def count(computation: Any, loop: Any):
        body, condition = (computations[i] for i in loop.called_computation_ids)

        def initial(path: tuple):
            return value(computation, loop.operand_ids[0], None, path)

        def after(path: tuple):
            return value(body, body.root_id, [slot], path)

        def of(test: Any):
            match test:
                case ("and", one, other):
                    counts = of(one), of(other)
                    return None if None in counts else min(counts)
                case ("LT", ("slot", counter), bound):
                    if (
                        isinstance(bound, tuple)
                        and bound[0] == "slot"
                        and after(bound[1:]) == bound
                    ):
                        bound = initial(bound[1:])
                    up = after((counter,)) in (
                        ("add", slot((counter,)), 1),
                        ("add", 1, slot((counter,))),
                    )
                    start = initial((counter,))
                    known = up and isinstance(start, int) and isinstance(bound, int)
                    return max(bound - start, 0) if known else None
            return None

        return of(value(condition, condition.root_id, [slot]))

    return [count(c, i) for c in proto.computations for i in c.instructions if i.opcode == "while"]
