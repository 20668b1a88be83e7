"""Trains a network on the recall task.

python NumberPrediction/train_recall.py --preset C
"""

import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main  # noqa: E402
from NumberPrediction.recall.presets import PRESETS, RecallConfig  # noqa: E402

if __name__ == "__main__":
    main(RecallConfig, PRESETS, "NumberPrediction.recall.experiment:train")
