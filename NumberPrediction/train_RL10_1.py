"""Trains number prediction with 10 + 1 inputs, under the name of the released script.

    python NumberPrediction/train_RL10_1.py

Takes the flags of RL_train.py, with the length fixed at 10. The released trainer has no flags.
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from NumberPrediction.presets import PRESETS, NumberConfig  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumberConfig10(NumberConfig):
    """Train a network to recall the one of ten digits that its last input points to.

    Gui et al. 2019, section 4.4.
    """

    length: int = setting(10, minimum=10, maximum=10)


if __name__ == "__main__":
    of_ten = {name: flags for name, flags in PRESETS.items() if flags.get("length", 10) == 10}
    main(NumberConfig10, of_ten, "NumberPrediction.experiment:train")
