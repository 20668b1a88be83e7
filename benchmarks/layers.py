"""One recurrent layer, forward and backward: ours, Keras' and PyTorch's, as functions that take one step of work each."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from common import DynamicSkipLSTM, FastLSTM


def tensorflow_step(layer: keras.layers.Layer, shape: tuple[int, int, int], jit_compile: bool) -> Callable[[], object]:
    """Forward and backward of a layer over inputs [B, T, D]: gradients of all weights and of the input."""
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=shape), tf.float32)
    weight = tf.constant(random.normal(size=(*shape[:2], layer_units(layer))), tf.float32)
    layer.build(shape)

    @tf.function(jit_compile=jit_compile)
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * weight)
            if isinstance(layer, DynamicSkipLSTM) and layer.cell.n_actions > 1:
                loss += tf.reduce_sum(layer.trace.log_probs)
        return tape.gradient(loss, [x, *layer.trainable_variables])

    return lambda: [g.numpy() for g in step()[-1:]]


def layer_units(layer: keras.layers.Layer) -> int:
    """H."""
    return layer.units if hasattr(layer, "units") else layer.cell.units


def torch_step(shape: tuple[int, int, int], units: int) -> Callable[[], object] | None:
    """The same for `torch.nn.LSTM`, or None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    random = np.random.default_rng(0)
    x = torch.tensor(random.normal(size=shape), dtype=torch.float32, requires_grad=True)
    weight = torch.tensor(random.normal(size=(*shape[:2], units)), dtype=torch.float32)
    layer = torch.nn.LSTM(shape[-1], units, batch_first=True)

    def step():
        x.grad = None
        layer.zero_grad(set_to_none=True)
        (layer(x)[0] * weight).sum().backward()
        return x.grad

    return step


def product_floor(shape: tuple[int, int, int], units: int) -> tuple[Callable[[], object], float]:
    """The layer's matrix products alone, in as few calls as the recurrence allows, and their number of operations."""
    batch, n_steps, features = shape
    x, w, u = tf.random.normal([n_steps * batch, features]), tf.random.normal([features, 4 * units]), tf.random.normal([units, 4 * units])
    h, z, transposed = tf.random.normal([batch, units]), tf.random.normal([batch, 4 * units]), tf.transpose(u)

    @tf.function
    def run():
        projected = x @ w
        total = tf.matmul(x, projected, transpose_a=True)
        gradient = tf.matmul(projected, w, transpose_b=True)
        recurrent = tf.matmul(tf.tile(h, [n_steps, 1]), projected, transpose_a=True)
        rows = tf.constant(0.0)
        for _ in tf.range(n_steps):
            rows += (h @ u)[0, 0] + (z @ transposed)[0, 0]
        return total[0, 0] + gradient[0, 0] + recurrent[0, 0] + rows

    operations = 2 * 4 * units * n_steps * batch * 3 * (features + units)
    return lambda: run().numpy(), operations


def candidates(shape: tuple[int, int, int], units: int, n_actions: int, agent_units: int) -> dict[str, Callable[[], object]]:
    """All that are compared, by name."""
    dynamic = DynamicSkipLSTM(units, n_actions=n_actions, agent_units=agent_units, return_sequences=True)
    keras_lstm = {"return_sequences": True, "use_cudnn": False}
    found = {
        "DynamicSkipLSTM": tensorflow_step(dynamic, shape, False),
        "FastLSTM": tensorflow_step(FastLSTM(units, return_sequences=True), shape, False),
        "keras LSTM, graph": tensorflow_step(keras.layers.LSTM(units, **keras_lstm), shape, False),
        "keras LSTM, XLA": tensorflow_step(keras.layers.LSTM(units, **keras_lstm), shape, True),
        "torch LSTM": torch_step(shape, units),
        "matrix products alone": product_floor(shape, units)[0],
    }
    return {name: function for name, function in found.items() if function is not None}
