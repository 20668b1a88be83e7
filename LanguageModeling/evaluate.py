"""Perplexity of a trained model on any text:  python LanguageModeling/evaluate.py --run_dir RUN --text data/ptb/ptb.test.txt"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common import run  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Perplexity of a trained language model, with sampled and with the most probable distances."""

    run_dir: str = run.setting("", "folder of the run")
    checkpoint: str = run.setting("", "checkpoint file (empty: the best epoch of the run)")
    text: str = run.setting("", "text file, a sentence a line (empty: the test text of the run's data)")
    streams: int = run.setting(20, "parts of the text that are read side by side; 1 reads it in order", minimum=1)
    samples: int = run.setting(1, "how often distances are sampled (mean of the losses)", minimum=1)


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Print and return the perplexities. Raises `InputError` for a run, a checkpoint or a text that cannot be used."""
    from common import training  # imports TensorFlow: flags are answered before
    from LanguageModeling import model as language_model
    from LanguageModeling import reader

    run_config, model, vocabulary = language_model.load(config.run_dir, config.checkpoint)
    tokens = reader.read_tokens(config.text, vocabulary) if config.text else reader.load(run_config.data_dir).test
    trainer = training.make_trainer(model, run_config)
    size = config.streams, run_config.num_unroll_steps
    metrics = {
        "perplexity_sampled": language_model.perplexity(trainer, tokens, *size, samples=config.samples),
        "perplexity_greedy": language_model.perplexity(trainer, tokens, *size, greedy=True),
    }
    print(f"{config.text or 'test text'}: {len(tokens) - 1} tokens scored, read as {config.streams} streams")
    for name, value in metrics.items():
        print(f"{name} {value:.5g}")
    return metrics


if __name__ == "__main__":
    run.main(EvaluateConfig, {}, evaluate)
