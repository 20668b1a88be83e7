"""Trains a classifier of reviews.

python Sentiment/RL_train.py --dataset imdb --data_dir data/imdb
"""

import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main  # noqa: E402
from Sentiment.presets import PRESETS, SentimentConfig  # noqa: E402

if __name__ == "__main__":
    main(SentimentConfig, PRESETS, "Sentiment.experiment:train")
