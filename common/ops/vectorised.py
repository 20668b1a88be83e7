"""Corrects how TensorFlow vectorises loops that read several slots of a buffer at once.

`tf.vectorized_map`, `GradientTape.jacobian` and `batch_jacobian` turn a loop over n rows into
operations on stacked tensors. For `TensorArray.gather(slots)` on stacked elements TensorFlow 2.21
returns [slots, n, ...] instead of [n, slots, ...]: an error about shapes, or silently wrong numbers
where n equals the number of slots. Importing this module replaces that conversion.
"""

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

_convert = pfor._pfor_converter_registry["TensorListGather"]


def _convert_gather(pfor_input: pfor._PforInput) -> pfor.WrappedTensor:
    found = _convert(pfor_input)
    (_, elements_stacked, _), (_, slots_stacked, _) = (pfor_input.input(n) for n in range(2))
    if not elements_stacked or slots_stacked:
        return found
    order = tf.concat([[1, 0], tf.range(2, tf.rank(found.t))], 0)
    return pfor.wrap(tf.transpose(found.t, order), True)


pfor._pfor_converter_registry["TensorListGather"] = _convert_gather
