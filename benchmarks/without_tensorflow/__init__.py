"""A language model's compiled epoch, exported and run with JAX where there is no TensorFlow."""
