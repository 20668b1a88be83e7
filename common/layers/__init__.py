"""Whole-sequence Keras layers, and the model whose `fit` trains their agents."""
