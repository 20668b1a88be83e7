"""Exports a language model's training and evaluation from TensorFlow.

    python benchmarks/without_tensorflow/export_hlo.py --preset paper --out paper.zip

It writes the trainer's own loop over many batches, in the form that XLA receives; `run_hlo.py` runs
it with JAX, on a CPU or a GPU.
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from common.config import main, setting  # noqa: E402
from LanguageModeling.presets import PRESETS, LanguageConfig  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(LanguageConfig):
    """Export a language model's training as HLO.

    Takes all flags of LanguageModeling/RL_train.py, and a few more.
    """

    out: str = setting("language_model.zip", "output file", path=True)
    data_dir: str = setting(
        "", "folder with the text, as for training (empty: random words)", path=True
    )
    n_words: int = setting(
        10_000, "number of different words, if random", minimum=2, maximum=10_000
    )
    n_batches: int = setting(50, "number of batches, if words are random", minimum=1)
    steps: int = setting(0, "batches in one call (0: all of an epoch)", minimum=0)
    reference: int = setting(
        0, "training steps whose results TensorFlow computes, to compare with", minimum=0
    )
    tf32: bool = setting(
        True, "let a GPU round the inputs of its float32 products, as TensorFlow does by default"
    )


if __name__ == "__main__":
    main(ExportConfig, PRESETS, "benchmarks.without_tensorflow.language_model_bundle:export")
