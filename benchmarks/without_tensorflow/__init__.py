"""Exports a language model's compiled epoch, and runs it with JAX, without TensorFlow."""
