"""Matrix products over whole sequences, also in 16 bits with sums in float32.

TensorFlow takes `a @ b` with a [T, B, M] for T products, and its gradient then makes T products for
b and adds them up. Here it is one. Its narrow products round their results to 16 bits, which to a
gate or a logit of size 8 leaves steps of 1/16: `_narrow` does not.
"""

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from .sequence_gradient import called, custom_gradient


def wide(dtype: tf.DType | str) -> tf.DType:
    """The dtype of states and sums of what computes in `dtype`: float64 for that, else float32."""
    return tf.float64 if dtype == "float64" else tf.float32


def product(a: tf.Tensor, b: tf.Tensor, transpose_b: bool = False) -> tf.Tensor:
    """a b over the last axis of a: [..., M] and [M, N] -> [..., N] in float32 (float64 for such b).

    It is done in the dtype of b. For b [G, M, N] see `by_blocks`.
    """
    rows = tf.cast(a, b.dtype)
    if a.shape.rank != 2:
        rows = as_rows(rows)
    multiply = _narrow if b.dtype.size < 4 else tf.matmul
    result = by_blocks(partial(multiply, transpose_b=transpose_b), rows, b)
    return (
        result
        if a.shape.rank == 2
        else tf.reshape(result, tf.concat([tf.shape(a)[:-1], result.shape[-1:]], 0))
    )


def as_rows(a: tf.Tensor) -> tf.Tensor:
    """[..., M] -> [N, M], also where a graph does not know M."""
    return tf.reshape(a, [-1, tf.shape(a)[-1] if a.shape[-1] is None else a.shape[-1]])


def blocks(a: tf.Tensor, n_blocks: int) -> tf.Tensor:
    """G blocks of columns that stand side by side, one behind the other: [R, G N] -> [G, R, N]."""
    return tf.stack(tf.split(a, n_blocks, 1))


def by_blocks(
    multiply: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], a: tf.Tensor, b: tf.Tensor
) -> tf.Tensor:
    """`multiply(a, b)` of matrices; or of each block of a [R, G M] with its own b [G, M, N].

    -> [R, N]; or [R, G N].
    """
    if b.shape.rank == 2:
        return multiply(a, b)
    return tf.concat(tf.unstack(multiply(blocks(a, b.shape[0]), b)), 1)


def through(kernel: tf.Tensor, xla: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """d -> d kernel^T, for a loop: XLA transposes for nothing, a graph would at every step."""
    if xla:
        return lambda d: product(d, kernel, transpose_b=True)
    transposed = tf.linalg.matrix_transpose(kernel)
    return lambda d: product(d, transposed)


def weight_gradient(inputs: tf.Tensor, d_outputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """sum_t inputs_t^T d_outputs_t of [T, B, M] and [T, B, N] -> [M, N].

    The gradient of the weights between them, as one product; of blocks as in `product`.
    """
    a, b = (as_rows(tf.cast(x, weights.dtype)) for x in (inputs, d_outputs))
    if weights.shape.rank == 3:
        a, b = (blocks(x, weights.shape[0]) for x in (a, b))
    return tf.matmul(a, b, transpose_a=True)


def _narrow(a: tf.Tensor, b: tf.Tensor, transpose_b: bool) -> tf.Tensor:
    """a b of 16 bits each -> float32. The gradients of a and b are of 16 bits as they are."""

    @custom_gradient
    def run(a: tf.Tensor, b: tf.Tensor):
        def gradient(d: tf.Tensor):
            d = tf.cast(d, b.dtype)
            d_b = (
                tf.matmul(d, a, transpose_a=True)
                if transpose_b
                else tf.matmul(a, d, transpose_a=True)
            )
            return tf.matmul(d, b, transpose_b=not transpose_b), d_b

        # No tape may look inside: it would ask for the gradient of what this function replaces.
        return _with_wide_sums(tf.stop_gradient(a), tf.stop_gradient(b), transpose_b), gradient

    return called(run, a, b)


@tf.function(jit_compile=True, autograph=False)
def _with_wide_sums(a: tf.Tensor, b: tf.Tensor, transpose_b: bool) -> tf.Tensor:
    # By XLA, also where the caller is eager or a plain graph: those have no such product. Where
    # functions run eagerly, to be debugged, of wide factors: the same sums.
    if tf.config.functions_run_eagerly():
        a, b = tf.cast(a, tf.float32), tf.cast(b, tf.float32)
        return tf.matmul(a, b, transpose_b=transpose_b)
    return tf.matmul(a, b, transpose_b=transpose_b, output_type=tf.float32)
