"""One recurrent layer, forward and backward: ours, Keras' and PyTorch's.

Each is a function without arguments that does one step of work.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common import DynamicSkipLSTM, FastLSTM
from common.config import CELLS
from common.layers.make_layer import make_layer
from NumberPrediction.presets import NumberConfig


class Size(NamedTuple):
    """The size of a task's recurrent layer: B, T, D, H, K and the units of the agent."""

    batch: int
    n_steps: int
    features: int
    units: int
    n_actions: int
    agent_units: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the inputs, [B, T, D]."""
        return self.batch, self.n_steps, self.features

    @property
    def operations(self) -> int:
        """Floating-point operations of an LSTM's matrix products, forward and backward.

        Skip connections add none.
        """
        return 3 * 2 * 4 * self.units * (self.features + self.units) * self.batch * self.n_steps

    def __str__(self) -> str:
        """The size as it stands in a title."""
        return (
            f"B {self.batch}, T {self.n_steps}, D {self.features}, H {self.units}, K"
            f" {self.n_actions}"
        )


PTB = Size(20, 35, 650, 650, 5, 50)
NUMBERS = Size(100, 11, 10, 200, 10, 50)
IMDB = Size(50, 400, 300, 128, 3, 50)
CONLL = Size(10, 25, 130, 200, 5, 50)
SMALL = Size(20, 35, 200, 200, 5, 50)  # for how time grows


def tensorflow_step(
    layer: keras.layers.Layer, shape: tuple[int, int, int], jit_compile: bool
) -> Callable[[], object]:
    """A step of a layer over inputs [B, T, D]: gradients of all weights and of the input."""
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=shape), tf.float32)
    weight = tf.constant(random.normal(size=(*shape[:2], layer_units(layer))), tf.float32)
    layer.build((None, *shape[1:]))  # for one length

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(
                (outputs[0] if isinstance(outputs, (list, tuple)) else outputs) * weight
            )
            if isinstance(layer, DynamicSkipLSTM) and layer.cell.has_agent:
                loss += tf.reduce_sum(layer.trace.log_probs)
        return tape.gradient(loss, [x, *layer.trainable_variables])

    return lambda: [g.numpy() for g in step()[-1:]]


def layer_units(layer: keras.layers.Layer) -> int:
    """The number of units H of a layer."""
    return layer.units if hasattr(layer, "units") else layer.cell.units


def torch_step(shape: tuple[int, int, int], units: int) -> Callable[[], object] | None:
    """A step of `torch.nn.LSTM`, or None if PyTorch is not installed."""
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


def product_floor(size: Size) -> Callable[[], object]:
    """The layer's matrix products alone, in as few calls as the recurrence allows."""
    batch, n_steps, features, units = size[:4]
    x, w, u = (
        tf.random.normal([n_steps * batch, features]),
        tf.random.normal([features, 4 * units]),
        tf.random.normal([units, 4 * units]),
    )
    h, z, transposed = (
        tf.random.normal([batch, units]),
        tf.random.normal([batch, 4 * units]),
        tf.transpose(u),
    )

    @tf.function(autograph=True)  # its loop is one of Python's
    def run():
        projected = x @ w
        total = tf.matmul(x, projected, transpose_a=True)
        gradient = tf.matmul(projected, w, transpose_b=True)
        recurrent = tf.matmul(tf.tile(h, [n_steps, 1]), projected, transpose_a=True)
        rows = tf.constant(0.0)
        for _ in tf.range(n_steps):
            rows += (h @ u)[0, 0] + (z @ transposed)[0, 0]
        return total[0, 0] + gradient[0, 0] + recurrent[0, 0] + rows

    return lambda: run().numpy()


def dynamic_skip(size: Size, jit_compile: bool = False, **changes: Any) -> Callable[[], object]:
    """A step of `DynamicSkipLSTM`."""
    size = size._replace(**changes)
    layer = DynamicSkipLSTM(
        size.units, n_actions=size.n_actions, agent_units=size.agent_units, return_sequences=True
    )
    return tensorflow_step(layer, size.shape, jit_compile)


def candidates(size: Size) -> dict[str, Callable[[], object]]:
    """All layers that are compared, by name."""
    keras_lstm = {"return_sequences": True, "use_cudnn": False}
    found = {
        "DynamicSkipLSTM": dynamic_skip(size),
        "FastLSTM": tensorflow_step(FastLSTM(size.units, return_sequences=True), size.shape, False),
        "keras LSTM, graph": tensorflow_step(
            keras.layers.LSTM(size.units, **keras_lstm), size.shape, False
        ),
        "keras LSTM, XLA": tensorflow_step(
            keras.layers.LSTM(size.units, **keras_lstm), size.shape, True
        ),
        "torch LSTM": torch_step(size.shape, size.units),
        "matrix products alone": product_floor(size),
    }
    return {name: function for name, function in found.items() if function is not None}


def all_cells(size: Size) -> dict[str, Callable[[], object]]:
    """A layer of every `--cell`, compiled as in the tasks.

    That is, as a whole if the task's whole step is compiled by default.
    """
    as_a_whole = size == NUMBERS
    found = {"dynamic_skip": dynamic_skip(size, as_a_whole)}
    for cell in sorted({*CELLS} - {"dynamic_skip"}):
        found[cell] = tensorflow_step(of_cell(cell, size), size.shape, as_a_whole)
    return found


def of_cell(cell: str, size: Size) -> keras.layers.Layer:
    """The layer of a `--cell`."""
    config = NumberConfig(cell=cell, n_actions=size.n_actions, agent_units=size.agent_units)
    return make_layer(config, size.units)


def operations_of_cells(size: Size) -> dict[str, int]:
    """Floating-point operations of each cell's matrix products, forward and backward."""
    found = {}
    for cell in CELLS:
        layer = of_cell(cell, size)
        layer.build(size.shape)
        numbers = sum(int(np.prod(v.shape)) for v in layer.weights if "kernel" in v.name)
        found[cell] = 3 * 2 * numbers * size.batch * size.n_steps
    return found
