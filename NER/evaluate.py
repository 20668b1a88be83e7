"""Computes the scores of a trained tagger.

python NER/evaluate.py --run_dir RUN --split test
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
    """Precision, recall and F1 of a trained tagger, with most probable and sampled distances."""

    split: str | None = setting(
        None, "split of the data (none: test)", choices=("train", "dev", "test")
    )
    data_dir: str = setting(
        "", "folder with the data (empty: the one that the run was trained with)", path=True
    )
    file: str = setting("", "file in CoNLL-2003's format, instead of a split", path=True)
    columns: list[int] | None = setting(
        None, "columns of the words and of the tags in the data (none: those of the run)", minimum=1
    )


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Print and return the scores, overall and of each entity type.

    Raises `InputError` for a run, a checkpoint or data that cannot be used.
    """
    for other in ("data_dir", "split"):
        if config.file and getattr(config, other):
            raise InputError(
                f"--file is read in place of a split, so not with --{other}: leave one of them out"
            )

    # imports TensorFlow, so only after the flags were read
    from common.training.metrics import random_and_mixed
    from NER import experiment
    from NER.span_f1 import span_f1

    run_config, trainer, encoder = experiment.load(
        config.run_dir, config.checkpoint, eval_samples=config.samples, mc_dropout=config.mc_dropout
    )
    if config.columns is not None:
        read = config.file or config.data_dir or run_config.data_dir
        run_config = dataclasses.replace(run_config, columns=config.columns, data_dir=read)
    if config.file:
        name, sentences = (
            pathlib.Path(config.file).name,
            experiment.read_file(run_config, config.file),
        )
    else:
        corpus = experiment.load_data(run_config, config.data_dir)
        name = config.split or "test"
        sentences = getattr(corpus, name)
    print(f"{config.run_dir}: {len(sentences)} sentences of {config.file or name}")
    gold = [sentence.tags for sentence in sentences]

    def measure(greedy: bool, n_chains: int = 1) -> dict[str, float]:
        how = "greedy" if greedy else "sampled" if n_chains == 1 else f"mixture{n_chains}"
        tagged = experiment.tag(
            trainer, encoder, sentences, greedy, run_config.n_buckets, n_chains=n_chains
        )
        for kind, counts in span_f1(gold, tagged.tags).by_type.items():
            shown = (
                f"precision {counts.precision:6.2f}  recall {counts.recall:6.2f}  F1"
                f" {counts.f1:6.2f}  of {counts.gold}"
            )
            print(f"{how:>9} {kind:>5}  {shown}")
        return experiment.scores(sentences, tagged)

    metrics = random_and_mixed(measure, name, run_config.has_agent, run_config.n_chains)
    for name, value in metrics.items():
        print(f"{name} {value:.5g}")
    return metrics


if __name__ == "__main__":
    main(EvaluateConfig, {}, evaluate, bare=["run_dir"])
