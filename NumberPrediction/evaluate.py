"""Computes the accuracy of a trained network.

python NumberPrediction/evaluate.py --run_dir runs/NumberPrediction/paper-dynamic_skip-seed0
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import Mixture, main, setting  # noqa: E402
from NumberPrediction.reader import LABEL_RULES, SPLITS  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Mixture):
    """Accuracy of a trained network, with the most probable and with sampled distances."""

    split: str = setting("test", "split of the data", choices=SPLITS)
    data_dir: str = setting(
        "", "folder that produce_data.py wrote (empty: the data of the run)", path=True
    )
    length: int = setting(0, "digits before the index of other data (0: as in the run)", minimum=0)
    label_rule: str = setting(
        "", "label rule of other data (empty: as in the run)", choices=("", *LABEL_RULES)
    )


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Print and return the metrics.

    Raises `InputError` for a run, a checkpoint or data that cannot be used.
    """
    from NumberPrediction import experiment  # imports TensorFlow, so only after the flags were read

    run_config, trainer, _ = experiment.load(
        config.run_dir, config.checkpoint, eval_samples=config.samples
    )
    data = experiment.examples(
        run_config, config.split, config.data_dir, config.length, config.label_rule
    )
    metrics = experiment.evaluate(trainer, data, config.split, run_config.n_chains)
    print(
        f"{config.run_dir}: {len(data.labels)} {config.split} examples of {data.numbers.shape[1]}"
        " inputs"
    )
    for name, value in metrics.items():
        print(f"{name} {value:.5g}")
    return metrics


if __name__ == "__main__":
    main(EvaluateConfig, {}, evaluate, bare=["run_dir"])
