"""The mathematics of the layers: pure functions of tensors, and gradients written by hand."""

from ..backend import check_backend

check_backend()
