"""The tasks' networks, ours and theirs, one training step of each; `torch_*` need no TensorFlow."""
