"""Corrects how TensorFlow vectorises loops with buffers.

`tf.vectorized_map`, `GradientTape.jacobian` and `batch_jacobian` turn a loop over n rows into
operations on stacked tensors. For `TensorArray.gather(slots)` on stacked elements TensorFlow 2.21
returns [slots, n, ...] instead of [n, slots, ...]: an error about shapes, or silently wrong numbers
where n equals the number of slots. Inside code compiled by XLA it makes buffers that XLA does not
know, and an error of many lines. It makes no zeros of the size of a buffer. And it forgets that an
operation has a gradient of its own (`tf.custom_gradient`): a tape around the loop then gets that of
what it hides, mostly zeros, without a word. Importing this module replaces these conversions.
"""

import itertools

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

from .sequence_gradient import CUSTOM_GRADIENTS, in_xla

_convert = {
    name: pfor._pfor_converter_registry[name]
    for name in ("TensorListGather", "TensorListReserve", "ZerosLike", "IdentityN")
}


def _convert_gather(pfor_input: pfor._PforInput) -> pfor.WrappedTensor:
    found = _convert["TensorListGather"](pfor_input)
    (_, elements_stacked, _), (_, slots_stacked, _) = (pfor_input.input(n) for n in range(2))
    if not elements_stacked or slots_stacked:
        return found
    order = tf.concat([[1, 0], tf.range(2, tf.rank(found.t))], 0)
    return pfor.wrap(tf.transpose(found.t, order), True)


def _convert_reserve(pfor_input: pfor._PforInput) -> pfor.WrappedTensor:
    if in_xla():
        raise NotImplementedError(
            "inside code compiled by XLA, TensorFlow cannot vectorise loops with buffers: give"
            " `jacobian` or `batch_jacobian` experimental_use_pfor=False, or compute it without"
            " jit_compile=True"
        )
    return _convert["TensorListReserve"](pfor_input)


def _convert_zeros(pfor_input: pfor._PforInput) -> pfor.WrappedTensor:
    one, stacked, _ = pfor_input.input(0)
    if one.dtype != tf.variant:
        return _convert["ZerosLike"](pfor_input)
    return pfor.wrap(tf.raw_ops.ZerosLike(x=one), stacked)


def _convert_custom_gradient(pfor_input: pfor._PforInput) -> list[pfor.WrappedTensor]:
    """`tf.custom_gradient` makes an IdentityN of the results and, behind them, the arguments."""
    try:
        name = pfor_input.op.get_attr("_gradient_op_type")
    except ValueError:
        name = None
    if name not in CUSTOM_GRADIENTS:
        return _convert["IdentityN"](pfor_input)
    function, n_arguments = CUSTOM_GRADIENTS[name]
    n_results = pfor_input.num_inputs - n_arguments
    pfor_input.stack_inputs(range(n_results))
    found = [pfor_input.input(i) for i in range(pfor_input.num_inputs)]
    stacked = [one.is_stacked for one in found[n_results:]]

    @tf.custom_gradient
    def kept(*tensors: tf.Tensor):
        def gradient(*upstream: tf.Tensor):
            arguments = tensors[n_results:]
            moves = [a.dtype.is_floating for a in arguments]

            def of_a_row(row: tuple):
                own = iter(row[0])
                at = [next(own) if one else a for a, one in zip(arguments, stacked, strict=True)]
                moving = list(itertools.compress(at, moves))
                with tf.GradientTape() as tape:
                    tape.watch(moving)
                    results = tf.nest.flatten(function(*at))
                results = [a for a in results if a.dtype.is_floating]
                return tape.gradient(results, moving, row[1], unconnected_gradients="zero")

            # a loop, in which a gradient of this gradient is right as well
            d_results = [d for d in upstream[:n_results] if d is not None]  # not of integers
            rows = list(itertools.compress(arguments, stacked)), d_results
            dtypes = [a.dtype for a in itertools.compress(arguments, moves)]
            found = iter(tf.map_fn(of_a_row, rows, fn_output_signature=dtypes))
            d_arguments = [
                (next(found) if one else tf.reduce_sum(next(found), 0)) if moving else None
                for one, moving in zip(stacked, moves, strict=True)
            ]
            return [None] * n_results + d_arguments

        return [tf.identity(a) for a in tensors], gradient

    results = kept(*(one.t for one in found))
    return [pfor.wrap(a, one.is_stacked) for a, one in zip(results, found, strict=True)]


pfor._pfor_converter_registry["IdentityN"] = _convert_custom_gradient
pfor._pfor_converter_registry["TensorListGather"] = _convert_gather
pfor._pfor_converter_registry["TensorListReserve"] = _convert_reserve
pfor._pfor_converter_registry["ZerosLike"] = _convert_zeros
