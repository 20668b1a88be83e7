"""One recurrent step per file, each a Keras cell for `keras.layers.RNN`."""

from ..backend import check_backend

check_backend()
