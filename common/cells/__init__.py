"""One recurrent step per file, each a Keras cell for `keras.layers.RNN`."""
