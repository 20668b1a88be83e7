"""Computes the accuracy of a trained classifier.

python Sentiment/evaluate.py --run_dir RUN --split test
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import Evaluation, main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Evaluation):
    """Accuracy of a trained classifier, with the most probable and with sampled distances."""

    split: str = setting("test", "split of the data", choices=("train", "dev", "test"))
    data_dir: str = setting(
        "", "folder with the data (empty: the one that the run was trained with)", path=True
    )


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Print and return the metrics.

    Raises `InputError` for a run, a checkpoint or data that cannot be used.
    """
    from Sentiment import (
        experiment,  # imports TensorFlow, so only after the flags were read
        reader,
    )

    run_config, trainer, vocabulary = experiment.load(
        config.run_dir, config.checkpoint, eval_samples=config.samples, mc_dropout=config.mc_dropout
    )
    names = experiment.class_names(run_config, config.run_dir)
    corpus = experiment.load_data(
        dataclasses.replace(run_config, data_dir=config.data_dir or run_config.data_dir), names
    )
    if corpus.classes != len(names):
        raise InputError(
            f"--data_dir expects texts of {len(names)} classes, which the run was trained on, found"
            f" {corpus.classes}"
        )
    examples = getattr(corpus, config.split)
    if not examples:
        raise InputError(
            f"--data_dir expects {config.split}.tsv or {config.split}.jsonl, found neither: add it,"
            " or give another --split"
        )
    print(f"{config.run_dir}: {len(examples)} texts of {config.split}")
    data, n_chains = reader.encode(examples, vocabulary), run_config.n_chains
    metrics = experiment.evaluate(trainer, data, config.split, run_config.n_buckets, n_chains)
    for name, value in metrics.items():
        print(f"{name} {value:.5g}")
    return metrics


if __name__ == "__main__":
    main(EvaluateConfig, {}, evaluate, bare=["run_dir"])
