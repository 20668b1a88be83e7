"""LSTM with dynamic skip connections (Gui et al., AAAI 2019): Keras layers, losses, a model.

In a checkout, where this package is called `common`, names are imported on first use, so that
reading flags or data does not wait for TensorFlow. Where it is installed all are imported at once,
so that Keras knows the classes that a saved model may hold.
"""

import importlib
from typing import TYPE_CHECKING

from .backend import check_backend

if TYPE_CHECKING:  # for editors and type checkers, which do not run `__getattr__`
    from .cells.attention import AttentionSkipLSTMCell as AttentionSkipLSTMCell
    from .cells.clockwork import ClockworkCell as ClockworkCell
    from .cells.deep_rnn import DeepRNNCell as DeepRNNCell
    from .cells.dynamic_skip import DynamicSkipLSTMCell as DynamicSkipLSTMCell
    from .cells.fixed_skip import FixedSkipLSTMCell as FixedSkipLSTMCell
    from .cells.grid_lstm import GridLSTMCell as GridLSTMCell
    from .cells.highway_lstm import HighwayLSTMCell as HighwayLSTMCell
    from .cells.history import HistoryCell as HistoryCell
    from .cells.k_state import KStateCell as KStateCell
    from .cells.leaky import LeakyCell as LeakyCell
    from .cells.peephole_lstm import PeepholeLSTMCell as PeepholeLSTMCell
    from .cells.policy import PolicyCell as PolicyCell
    from .cells.random_skip import RandomSkipLSTMCell as RandomSkipLSTMCell
    from .cells.skip_gru import SkipGRUCell as SkipGRUCell
    from .cells.skip_lstm import SkipLSTMCell as SkipLSTMCell
    from .cells.skip_rnn import SkipRNNCell as SkipRNNCell
    from .cells.time_delay import TimeDelayCell as TimeDelayCell
    from .figures.connections import draw_connections as draw_connections
    from .layers.attention_skip_lstm import AttentionSkipLSTM as AttentionSkipLSTM
    from .layers.crf import CRF as CRF
    from .layers.deployment import export as export
    from .layers.deployment import step_by_step as step_by_step
    from .layers.dynamic_skip_lstm import DynamicSkipLSTM as DynamicSkipLSTM
    from .layers.fast_lstm import FastLSTM as FastLSTM
    from .layers.fast_rnn import FastRNN as FastRNN
    from .layers.fixed_skip_lstm import FixedSkipLSTM as FixedSkipLSTM
    from .layers.highway import Highway as Highway
    from .layers.k_state_layer import KStateLSTM as KStateLSTM
    from .layers.lstm_weights import copy_lstm_weights as copy_lstm_weights
    from .layers.lstm_weights import initial_state_from_lstm as initial_state_from_lstm
    from .layers.policy_gradient_model import PolicyGradientModel as PolicyGradientModel
    from .layers.random_skip_lstm import RandomSkipLSTM as RandomSkipLSTM
    from .layers.sampled_predictions import predict_sampled as predict_sampled
    from .layers.update_skipping_rnn import UpdateSkippingRNN as UpdateSkippingRNN

__version__ = "0.1.0"  # as in pyproject.toml and CITATION.cff

_HOMES = {
    "AttentionSkipLSTM": "layers.attention_skip_lstm",
    "AttentionSkipLSTMCell": "cells.attention",
    "CRF": "layers.crf",
    "ClockworkCell": "cells.clockwork",
    "DeepRNNCell": "cells.deep_rnn",
    "DynamicSkipLSTM": "layers.dynamic_skip_lstm",
    "DynamicSkipLSTMCell": "cells.dynamic_skip",
    "FastLSTM": "layers.fast_lstm",
    "FastRNN": "layers.fast_rnn",
    "FixedSkipLSTM": "layers.fixed_skip_lstm",
    "FixedSkipLSTMCell": "cells.fixed_skip",
    "GridLSTMCell": "cells.grid_lstm",
    "HistoryCell": "cells.history",
    "Highway": "layers.highway",
    "HighwayLSTMCell": "cells.highway_lstm",
    "KStateCell": "cells.k_state",
    "KStateLSTM": "layers.k_state_layer",
    "LeakyCell": "cells.leaky",
    "PeepholeLSTMCell": "cells.peephole_lstm",
    "PolicyCell": "cells.policy",
    "PolicyGradientModel": "layers.policy_gradient_model",
    "RandomSkipLSTM": "layers.random_skip_lstm",
    "RandomSkipLSTMCell": "cells.random_skip",
    "SkipGRUCell": "cells.skip_gru",
    "SkipLSTMCell": "cells.skip_lstm",
    "SkipRNNCell": "cells.skip_rnn",
    "TimeDelayCell": "cells.time_delay",
    "UpdateSkippingRNN": "layers.update_skipping_rnn",
    "copy_lstm_weights": "layers.lstm_weights",
    "draw_connections": "figures.connections",
    "export": "layers.deployment",
    "initial_state_from_lstm": "layers.lstm_weights",
    "predict_sampled": "layers.sampled_predictions",
    "step_by_step": "layers.deployment",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


if __name__ != "common":
    check_backend()
    for name in ("layers.released_initializers", "layers.fast_gru", "layers.grid_stack"):
        importlib.import_module(f".{name}", __name__)
    globals().update({name: __getattr__(name) for name in _HOMES})
