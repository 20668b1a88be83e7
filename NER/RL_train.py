"""Trains a tagger of named entities.

python NER/RL_train.py --data_dir data/conll2003 --vectors data/embeddings/glove.6B.100d.txt
"""

import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main  # noqa: E402
from NER.presets import PRESETS, NERConfig  # noqa: E402

if __name__ == "__main__":
    main(NERConfig, PRESETS, "NER.experiment:train")
