"""What happens between a config and a result: compiled steps, epochs, checkpoints, exact resume.

See README.md.
"""
