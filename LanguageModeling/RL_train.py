"""Trains a language model.

python LanguageModeling/RL_train.py --data_dir data/ptb --rnn_size 650 --lamda 1 --n_actions 5
"""

import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main  # noqa: E402
from LanguageModeling.presets import PRESETS, LanguageConfig  # noqa: E402

if __name__ == "__main__":
    main(LanguageConfig, PRESETS, "LanguageModeling.experiment:train")
