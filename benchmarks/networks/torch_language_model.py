"""One training step of a plain LSTM language model in PyTorch, on a CPU or a GPU.

It needs no TensorFlow.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.networks import torch_training

MAX_GRAD_NORM = 5.0


def network(config: Any, n_words: int) -> Any:
    """A module: words [B, T], state (None: zeros) -> logits [B, T, V], state."""
    import torch

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(n_words, config.rnn_size)
            self.lstm = torch.nn.LSTM(
                config.rnn_size,
                config.rnn_size,
                config.rnn_layers,
                dropout=config.dropout,
                batch_first=True,
            )
            self.dropout = torch.nn.Dropout(config.dropout)
            self.softmax = torch.nn.Linear(config.rnn_size, n_words)

        def forward(self, words: torch.Tensor, state: tuple | None = None):
            h, state = self.lstm(self.dropout(self.embedding(words)), state)
            return self.softmax(self.dropout(h)), state

    return Model()


def steps(
    config: Any,
    words: np.ndarray,
    n_words: int,
    device: str = "cpu",
    tf32: bool = False,
    bfloat16: bool = False,
) -> Callable[[], object] | None:
    """Training steps with dropout, clipping and update, one per batch; None without PyTorch.

    Args:
        config: rnn_size, rnn_layers and dropout of the network. words: [N, B, T + 1]. n_words: V.
        device: of PyTorch. tf32: let a GPU round the inputs of its float32 products. bfloat16: the
            products in bfloat16, by `torch.autocast`.
    """
    try:
        import torch
    except ImportError:
        return None

    model = network(config, n_words).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    batches = [(batch,) for batch in torch.tensor(words.astype(np.int64), device=device)]

    def loss(batch: torch.Tensor):
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            logits = model(batch[:, :-1])[0].flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, batch[:, 1:].flatten())

    train = torch_training.steps(model.parameters(), optimizer, loss, batches, MAX_GRAD_NORM)

    def run() -> float:
        # settings of the process
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        return train()

    return run
