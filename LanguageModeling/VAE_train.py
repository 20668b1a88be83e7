"""Trains a variational autoencoder of sentences.

python LanguageModeling/VAE_train.py --data_dir data/ptb --preset small
"""

import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main  # noqa: E402
from LanguageModeling.vae.presets import PRESETS, VAEConfig  # noqa: E402

if __name__ == "__main__":
    main(VAEConfig, PRESETS, "LanguageModeling.vae.experiment:train")
