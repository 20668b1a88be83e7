"""Training steps of the number-prediction network: ours, Keras' under `fit`, and PyTorch's."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.networks import torch_training
from common.data import bucketing
from common.training.make_trainer import make_trainer
from NumberPrediction import experiment, reader
from NumberPrediction.model import NumberModel
from NumberPrediction.presets import NumberConfig

STEPS = 50  # training steps in one call


def examples() -> dict[str, np.ndarray]:
    """STEPS batches of 100, T = 11."""
    data = reader.load("", 10, "paper", STEPS * 100, 1, 1)
    return bucketing.shuffled(experiment.arrays(data.train), 100, 0, 0)


def our_steps(**flags: Any) -> Callable[[], object]:
    """STEPS training steps of the paper's preset."""
    config = NumberConfig(**flags)
    model = NumberModel(config)
    trainer = make_trainer(model, config, keras.optimizers.Adam(config.learning_rate))
    batches = examples()
    return lambda: trainer.train(batches, (), 0, {"learning_rate": config.learning_rate})


def keras_steps() -> Callable[[], object]:
    """The same network with `keras.layers.LSTM` under `fit`."""
    model = keras.Sequential([keras.layers.LSTM(200), keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = examples()
    x, y = (
        np.eye(10, dtype=np.float32)[batches["numbers"].reshape(STEPS * 100, -1)],
        batches["labels"].reshape(-1),
    )
    return lambda: model.fit(x, y, batch_size=100, shuffle=False, verbose=0)


def torch_steps() -> Callable[[], object] | None:
    """The same network in PyTorch, or None if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    network = torch.nn.ModuleDict(
        {"lstm": torch.nn.LSTM(10, 200, batch_first=True), "classifier": torch.nn.Linear(200, 10)}
    )
    batches = examples()
    x = torch.nn.functional.one_hot(torch.tensor(batches["numbers"].astype(np.int64)), 10).float()
    y = torch.tensor(batches["labels"].astype(np.int64))

    def loss(x: torch.Tensor, y: torch.Tensor):
        return torch.nn.functional.cross_entropy(
            network["classifier"](network["lstm"](x)[0][:, -1]), y
        )

    parameters = [*network.parameters()]
    return torch_training.steps(
        parameters, torch.optim.Adam(parameters, 1e-3), loss, list(zip(x, y, strict=True))
    )


def candidates() -> dict[str, Callable[[], object]]:
    """All networks that are compared, by name."""
    found = {
        "dynamic_skip": our_steps(),
        "lstm": our_steps(cell="lstm"),
        "keras LSTM, fit": keras_steps(),
        "torch LSTM": torch_steps(),
    }
    return {name: function for name, function in found.items() if function is not None}
