"""Settings of the sentence VAE."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable

from common.config import RunConfig, cells, setting
from common.errors import InputError
from common.training.run_flags import read_flags


@cells.options
class Middle:
    """What both curves of the KL's weight have."""

    annealing_middle: int = setting(
        2500, "training step at which the weight of the KL is half its final one", minimum=1
    )


@cells.options
class Sigmoid(Middle):
    """The options of --annealing sigmoid."""

    annealing_slope: float = setting(
        0.0025, "k of the weight sigmoid(k (step - middle))", minimum=0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Annealing:
    annealing: str = setting(
        "sigmoid",
        "how the weight of the KL grows from 0 with the steps",
        choices=("sigmoid", "linear", "none"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAEConfig(cells.flags_of([Sigmoid]), _Annealing, RunConfig):
    """Train a variational autoencoder of sentences (Bowman et al. 2016)."""

    task, program = "SentenceVAE", "LanguageModeling/VAE_train.py"
    without_effect = {"mc_dropout": "its samples are vectors of sentences"}
    options = {
        **RunConfig.options,
        "annealing": {"sigmoid": Sigmoid, "linear": Middle, "none": cells.NoOptions},
    }

    cell: str = "lstm"
    data_dir: str = setting(
        "",
        "folder of [ptb.]{train,valid,test}.txt, CoNLL-2003 or IMDB (empty: generated)",
    )
    tokens: str = setting(
        "spaces", "how text is split into tokens", choices=("spaces", "words", "characters")
    )
    min_count: int = setting(1, "rarer training words count as <unk>", minimum=1)
    word_size: int = setting(300, "dimension of a word's vector", minimum=1)
    rnn_size: int = setting(256, "units of the encoder and of the decoder", minimum=1)
    latent_size: int = setting(
        16, "Z, dimension of a sentence's vector (0: a plain model of sentences)", minimum=0
    )
    latent_input: bool = setting(
        True, "the sentence's vector enters at every word, not only the first state"
    )
    highway_layers: int = setting(0, "highway layers behind the encoder", minimum=0)
    kl_weight: float = setting(1.0, "final weight of the KL in training", minimum=0)
    word_keep: float = setting(
        0.6, "share of the words that the decoder sees; the others are <unk>", minimum=0, maximum=1
    )
    dropout: float = setting(0.5, "share of the decoder's word vectors' units dropped")
    batch_size: int = setting(32, minimum=1)
    max_epochs: int = setting(10, minimum=1)
    n_buckets: int = setting(6, "number of padded lengths; each is compiled once", minimum=1)
    eval_samples: int = setting(
        100, "samples of the importance-weighted bound in the final evaluation (1: none)"
    )
    reward: str = setting(
        "log_likelihood",
        "reward of the agents: log p(word), and less the KL that of the encoder",
        choices=("log_likelihood",),
    )

    def check_read(self, given: Iterable[str]) -> None:
        """As of `RunConfig`; settings of sentences' vectors are read where there are any."""
        super().check_read(given)
        of_vectors = {"latent_input", "highway_layers", "kl_weight", "annealing"}
        of_vectors |= {*cells.names(Sigmoid)}
        for name in sorted(of_vectors.intersection(given) if not self.latent_size else ()):
            raise InputError(
                f"--{name} has no effect with --latent_size 0 (sentences have no vectors): leave"
                " one of them out"
            )

    @property
    def is_random(self) -> bool:
        """As of `RunConfig`: sentences' vectors are drawn."""
        return self.latent_size > 0 or super().is_random

    def weight_of_kl(self, step: int) -> float:
        """The weight of the KL in a training step, from 0 on."""
        if self.annealing == "none":
            return self.kl_weight
        if self.annealing == "linear":
            return self.kl_weight * min(1.0, step / (2 * self.annealing_middle))
        x = self.annealing_slope * (step - self.annealing_middle)
        return self.kl_weight * (1 + math.tanh(x / 2)) / 2  # the sigmoid, without overflow


def is_vae(run_dir: str) -> bool:
    """Whether a folder holds the run of a sentence VAE; `InputError` for one without a run."""
    return bool(run_dir) and read_flags(pathlib.Path(run_dir))["task"] == VAEConfig.task


PRESETS = {
    # Bowman et al. do not publish their sizes: these are of timbmg/Sentence-VAE, with an LSTM for
    # its GRU, their annealing and the share of words that their best models keep.
    "paper": {},
    # What one core finishes in half an hour. The weight of the KL grows slowly: where it was whole
    # after two epochs, the sentences' vectors told .87 nats, by one of their 16 numbers.
    "small": {
        "word_size": 128,
        "rnn_size": 128,
        "max_epochs": 8,
        "annealing_middle": 3500,
        "annealing_slope": 0.002,
    },
}
