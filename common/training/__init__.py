"""From a config to a result: compiled steps, epochs, checkpoints, exact resume.

See README.md.
"""
