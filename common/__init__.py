"""LSTM with dynamic skip connections (Gui et al., AAAI 2019) as Keras layers, with the losses and the trainer they need.

Names are imported on first use, so that reading flags or data does not wait for TensorFlow.
"""

import importlib

_HOMES = {
    "DynamicSkipLSTM": "dynamic_skip_lstm",
    "DynamicSkipLSTMCell": "cells.dynamic_skip",
    "FastLSTM": "fast_lstm",
    "PolicyGradientModel": "policy_gradient_model",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
