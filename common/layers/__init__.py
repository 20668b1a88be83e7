"""Whole-sequence Keras layers, and the model whose `fit` trains their agents."""

from ..backend import check_backend

check_backend()
