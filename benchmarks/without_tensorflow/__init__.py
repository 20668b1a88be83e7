"""A language model's compiled epoch, exported, and run with JAX where TensorFlow is not installed."""
