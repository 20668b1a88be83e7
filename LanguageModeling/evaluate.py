"""Computes the perplexity of a trained model.

python LanguageModeling/evaluate.py --run_dir RUN --split test
"""

import dataclasses
import pathlib
import sys

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import Evaluation, main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from LanguageModeling import reader  # noqa: E402
from LanguageModeling.corpora import reviews  # noqa: E402
from LanguageModeling.vae.presets import is_vae  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Evaluation):
    """Perplexity of a language model or bound of a VAE, distances most probable and sampled."""

    split: str | None = setting(None, "split of the data (none: test)", choices=reader.SPLITS)
    data_dir: str = setting(
        "", "folder with the data (empty: the one that the run was trained with)", path=True
    )
    text: str = setting("", "text file with a sentence per line, instead of a split", path=True)
    streams: int | None = setting(
        None,
        "parallel streams that the text is cut into; 1 reads it in order (none: as in the run)",
        minimum=1,
    )
    samples: int | None = setting(
        None,
        "sampled chains in a mixture, or a VAE's bound (none: --eval_samples of the run)",
        minimum=1,
    )


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Print and return the perplexities.

    Raises `InputError` for a run, a checkpoint or a text that cannot be used.
    """
    # imports TensorFlow, so only after the flags were read
    from LanguageModeling import experiment
    from LanguageModeling.vae import experiment as vae_experiment

    for other in ("data_dir", "split"):
        if config.text and getattr(config, other):
            raise InputError(
                f"--text is read in place of a split, so not with --{other}: leave one of them out"
            )
    vae = is_vae(config.run_dir)
    if vae and config.streams:
        raise InputError("--streams belongs to a language model, this run is a VAE's: leave it out")
    load = vae_experiment.load if vae else experiment.load
    run_config, trainer, vocabulary = load(
        config.run_dir, config.checkpoint, eval_samples=config.samples, mc_dropout=config.mc_dropout
    )
    condition = reviews.SENTENCES if vae else reviews.Condition.of(run_config)
    if condition.kind != "none" and config.text:
        raise InputError(
            "--text has no classes, which this run reads with every word: give --split"
        )
    if config.text:
        name = pathlib.Path(config.text).name
        tokens = reader.read_tokens(config.text, vocabulary, run_config.tokens)
    else:
        name, data_dir = config.split or "test", config.data_dir or run_config.data_dir
        tokens = reader.load_split(data_dir, name, vocabulary, run_config.tokens, condition)
    chains, text = run_config.n_chains, config.text or name
    try:
        if vae:
            data = vae_experiment.arrays(tokens, trainer.model.end)
            metrics = vae_experiment.evaluate(trainer, data, name, chains)
            print(f"{config.run_dir}: {len(data['lengths'])} sentences of {text}")
        else:
            streams = config.streams or run_config.batch_size
            metrics = experiment.evaluate(trainer, tokens, name, streams, chains)
            several = "in order" if streams == 1 else f"as {streams} streams"
            print(f"{config.run_dir}: {len(tokens) - 1} tokens of {text}, read {several}")
    except OverflowError:
        raise InputError(
            f"{config.checkpoint or config.run_dir}: the loss on {text} is too large for a number:"
            " these weights have diverged; name another --checkpoint or run"
        ) from None
    for name, value in metrics.items():
        print(f"{name} {value:.5g}")
    return metrics


if __name__ == "__main__":
    main(EvaluateConfig, {}, evaluate, bare=["run_dir"])
