"""Training steps of the tasks' networks, ours and others'; `torch_*` need no TensorFlow."""
