"""Corrects how TensorFlow vectorises loops with buffers.

`tf.vectorized_map`, `GradientTape.jacobian` and `batch_jacobian` turn a loop over n rows into
operations on stacked tensors. For `TensorArray.gather(slots)` on stacked elements TensorFlow 2.21
returns [slots, n, ...] instead of [n, slots, ...]: an error about shapes, or silently wrong numbers
where n equals the number of slots. Inside code compiled by XLA it makes buffers that XLA does not
know, and an error of many lines. Importing this module replaces both conversions.
"""

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

from .sequence_gradient import in_xla

_convert = {
    name: pfor._pfor_converter_registry[name] for name in ("TensorListGather", "TensorListReserve")
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


pfor._pfor_converter_registry["TensorListGather"] = _convert_gather
pfor._pfor_converter_registry["TensorListReserve"] = _convert_reserve
