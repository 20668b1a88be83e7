"""Settings of language modelling; flags that the release has too keep names and defaults."""

import dataclasses
from typing import Any

from common.config import RunConfig, cells, setting
from LanguageModeling.options import (
    Awd,
    CharOptions,
    DocumentOptions,
    MixedOptions,
    ModelFlags,
    SuffixOptions,
    Variational,
    WordOptions,
    check,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageConfig(
    cells.flags_of(
        [
            CharOptions,
            DocumentOptions,
            MixedOptions,
            SuffixOptions,
            WordOptions,
            Variational,
            Awd,
        ]
    ),
    ModelFlags,
    RunConfig,
):
    """Train a language model on the Penn Treebank (Gui et al. 2019, section 4.2) or other text."""

    task = "LanguageModeling"
    options = {
        **RunConfig.options,
        "model": {
            "word": WordOptions,
            "char": CharOptions,
            "document": DocumentOptions,
            "mixed": MixedOptions,
        },
        "regularisation": {"dropout": cells.NoOptions, "variational": Variational, "awd": Awd},
        "output": {"plain": cells.NoOptions, "suffix": SuffixOptions},
    }

    data_dir: str = setting(
        "",
        "folder of [ptb.]{train,valid,test}.txt, CoNLL-2003 or IMDB (empty: generated)",
    )
    tokens: str = setting(
        "spaces",
        "how text is split into tokens",
        choices=("spaces", "words", "characters"),
    )
    min_count: int = setting(1, "rarer training words count as <unk>", minimum=1)
    condition: str = setting(
        "none",
        "read with every word: the label or rating of its review",
        choices=("none", "label", "rating"),
    )
    max_documents: int = setting(
        0, "training reviews at most, a tenth as many of valid and test (0: all)", minimum=0
    )
    rnn_size: int = setting(650, minimum=1)
    rnn_layers: int = setting(
        2,
        "recurrent layers: the last is of --cell, those below plain LSTMs (document: all alike)",
        minimum=1,
    )
    dropout: float = setting(
        0.5,
        "share dropped of the inputs of layers and, but for --model char, of word vectors",
    )
    num_unroll_steps: int = setting(35, "time steps that gradients flow back through", minimum=1)
    batch_size: int = setting(20, minimum=1)
    max_epochs: int = setting(100, minimum=1)
    learning_rate: float = setting(1.0, minimum=0)
    learning_rate_decay: float = setting(
        1 / 1.2, "factor on the learning rate when it decays", minimum=0, maximum=1
    )
    decay_when: float = setting(
        1.0,
        "decay after an epoch whose validation perplexity is not this much lower than that of the"
        " last epoch without decay",
    )
    decay_after: int = setting(
        0, "decay after every epoch from this one on (0: use --decay_when)", minimum=0
    )
    lr_threshold: float = setting(0.005, "lower bound of the decaying learning rate", minimum=0)
    param_init: float = setting(
        0.05, "initial weights are uniform between plus and minus this", minimum=0
    )
    topics: int = setting(
        0, "topics (LDA) of the words so far, beside what enters and leaves (0: none)", minimum=0
    )
    max_grad_norm: float = setting(5.0, minimum=0)
    reward: str = setting(
        "log_likelihood",
        "reward: log p(word), or p",
        choices=("log_likelihood", "likelihood"),
    )
    rl_weight: float = setting(0.3, minimum=0)
    entropy_weight: float = setting(0.02, minimum=0)
    print_every: int = setting(100, minimum=1)
    mc_dropout: bool = setting(
        False,
        "with masks of dropout in that mixture, as in training (variational: always)",
        affects_result=False,
    )
    load_model: str = setting("", "run folder or checkpoint with the initial weights", path=True)

    def __post_init__(self):
        """Raises `InputError` for options that do not go together."""
        super().__post_init__()
        check(self)

    @classmethod
    def choosers(cls) -> list[str]:
        """As of `RunConfig`."""
        return [*super().choosers(), "context", "decay_after"]

    @classmethod
    def readers(cls) -> dict[str, dict[str, list[Any]]]:
        """As of `RunConfig`."""
        found = super().readers()
        of_attention = found["context_sentences"] | {"context": ["attention"]}
        return found | {"decay_when": {"decay_after": [0]}, "context_sentences": of_attention}

    @property
    def draws_masks(self) -> bool:
        """As of `RunConfig`."""
        return super().draws_masks or self.regularisation == "variational"

    @property
    def char_flags(self) -> dict[str, Any]:
        """The options of --model char that shape its network."""
        return {
            name: getattr(self, name) for name in cells.names(CharOptions) if name != "max_chars"
        }


_SMALL = {
    "rnn_size": 200,
    "dropout": 0.0,
    "num_unroll_steps": 20,
    "max_epochs": 13,
    "learning_rate_decay": 0.5,
    "decay_after": 4,
    "lr_threshold": 0.0,
    "param_init": 0.1,
}

_MEDIUM = {"max_epochs": 39, "decay_after": 6, "lr_threshold": 0.0}

PRESETS = {
    "paper": {},
    # The released graph: two plain layers below the dynamic one, its first weights, agent,
    # observation and reward (experiments/RELEASE.md).
    "released": {
        "rnn_layers": 3,
        "initializers": "released",
        "agent_units": 200,
        "observation": "mean",
        "history": "window",
        "reward": "likelihood",
        "baseline": "none",
        "entropy_weight": 0.0,
    },
    # The small and the medium model of Zaremba et al. 2014; `small` is what a laptop finishes.
    # Without dropout it overfits, and gains by an agent that the noise of its returns does not
    # drive to certainty. (The larger ones have dropout, and `char_small` does not overfit.)
    "small": {**_SMALL, "rl_weight": 0.01, "entropy_weight": 0.01},
    "medium": _MEDIUM,
    # The dynamic row that is best on dev in the table `lm`, as a test sees to.
    "best": {**_MEDIUM, "lamda": 0.5, "estimator": "straight_through", "entropy_weight": 0.035},
    # Gal & Ghahramani's medium model is Zaremba's with their dropout; its rates are not published:
    # these have the ratios of their large one.
    "variational": {**_MEDIUM, "regularisation": "variational", "dropout": 0.4},
    # Merity et al. 2018: see README.md for what of it is not here. Their loss is a mean over a
    # window, this one a sum over its 70 steps: hence their rate 30, norm .25, weight decay 1.2e-6.
    "modern": {
        "regularisation": "awd",
        "tied_embeddings": True,
        "rnn_size": 800,
        "rnn_layers": 3,
        "num_unroll_steps": 70,
        "dropout": 0.4,
        "learning_rate": 30 / 70,
        "max_grad_norm": 0.25 * 70,
        "weight_decay": 1.2e-6 * 70,
        "learning_rate_decay": 0.5,
        "decay_when": 0.0,
        "lr_threshold": 0.0,
    },
    # The large model of Kim et al. 2016, its second layer the dynamic one; and the convolutions of
    # their small one in front of `small`.
    "char": {"model": "char", "max_epochs": 25, "learning_rate_decay": 0.5, "lr_threshold": 0.0},
    "documents": {
        **_SMALL,
        "model": "document",
        "cell": "lstm",
        "min_count": 2,
        "rnn_layers": 1,
        "rnn_size": 128,
        "num_unroll_steps": 60,
        "max_epochs": 8,
        "learning_rate": 0.5,
        "dropout": 0.2,
    },
    "reviews": {
        **_SMALL,
        "tokens": "characters",
        "min_count": 20,
        "condition": "label",
        "cell": "lstm",
        "rnn_size": 128,
        "num_unroll_steps": 50,
        "max_epochs": 6,
        "learning_rate": 0.4,
        "decay_after": 3,
        "max_documents": 4000,
    },
    # The network of Bojanowski et al. 2015, which they train word by word.
    "suffix": {
        **_SMALL,
        "tokens": "characters",
        "output": "suffix",
        "cell": "rnn",
        "activation": "sigmoid",
        "rnn_layers": 1,
        "rnn_size": 100,
        "num_unroll_steps": 30,
        "max_epochs": 8,
        "learning_rate": 0.1,
    },
    # The sizes of Bojanowski et al. 2015, with LSTMs for their sigmoid units; ten words a window.
    "mixed": {
        **_SMALL,
        "tokens": "characters",
        "model": "mixed",
        "cell": "lstm",
        "rnn_layers": 1,
        "num_unroll_steps": 60,
        "max_epochs": 8,
        "learning_rate": 0.4,
    },
    "char_small": {
        **_SMALL,
        "model": "char",
        "char_filters": [25, 50, 75, 100, 125, 150],
        "highway_layers": 1,
    },
    # Text by characters, in the manner of Karpathy et al. 2015; ten characters to choose from,
    # which is a word or two.
    "char_text": {
        **_SMALL,
        "tokens": "characters",
        "rnn_size": 128,
        "n_actions": 10,
        "num_unroll_steps": 25,
        "max_epochs": 6,
        "learning_rate": 0.4,
        "decay_after": 2,
    },
}
