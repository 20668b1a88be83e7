"""LSTM with dynamic skip connections (Gui et al., AAAI 2019): Keras layers, losses, a model.

In a checkout, where this package is called `common`, names are imported on first use, so that
reading flags or data does not wait for TensorFlow. Where it is installed all are imported at once,
so that Keras knows the classes that a saved model may hold.
"""

import importlib

from .backend import check_backend

__version__ = "0.1.0"  # as in pyproject.toml and CITATION.cff

_HOMES = {
    "AttentionSkipLSTM": "layers.attention_skip_lstm",
    "AttentionSkipLSTMCell": "cells.attention",
    "CRF": "layers.crf",
    "ClockworkCell": "cells.clockwork",
    "DynamicSkipLSTM": "layers.dynamic_skip_lstm",
    "DynamicSkipLSTMCell": "cells.dynamic_skip",
    "FastLSTM": "layers.fast_lstm",
    "FixedSkipLSTM": "layers.fixed_skip_lstm",
    "FixedSkipLSTMCell": "cells.fixed_skip",
    "GridLSTMCell": "cells.grid_lstm",
    "HistoryCell": "cells.history",
    "HighwayLSTMCell": "cells.highway_lstm",
    "KStateCell": "cells.k_state",
    "KStateLSTM": "layers.k_state_layer",
    "LeakyCell": "cells.leaky",
    "PeepholeLSTMCell": "cells.peephole_lstm",
    "PolicyCell": "cells.policy",
    "PolicyGradientModel": "layers.policy_gradient_model",
    "RandomSkipLSTM": "layers.fixed_skip_lstm",
    "RandomSkipLSTMCell": "cells.random_skip",
    "SkipGRUCell": "cells.skip_gru",
    "SkipLSTMCell": "cells.skip_lstm",
    "SkipRNNCell": "cells.skip_rnn",
    "TimeDelayCell": "cells.time_delay",
    "UpdateSkippingRNN": "layers.update_skipping_rnn",
    "copy_lstm_weights": "layers.lstm_weights",
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


if __name__ != "common":
    check_backend()
    importlib.import_module(".layers.release", __name__)
    globals().update({name: __getattr__(name) for name in _HOMES})
