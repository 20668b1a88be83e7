"""Trains a network on number prediction.

python NumberPrediction/RL_train.py --length 10 --lamda 1
"""

import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main  # noqa: E402
from NumberPrediction.presets import PRESETS, NumberConfig  # noqa: E402

if __name__ == "__main__":
    main(NumberConfig, PRESETS, "NumberPrediction.experiment:train")
