"""Trains and tests a network of a bundle on the bundle's text."""

import math
import pathlib
import sys
import time

import jax.numpy as jnp
import numpy as np

from benchmarks.without_tensorflow.hlo_program import Network
from common.errors import InputError
from common.training import checkpoint
from LanguageModeling import reader
from LanguageModeling.schedule import learning_rate


class Text:
    """The bundle's text, cut into batches for a network."""

    def __init__(self, network: Network):
        config = network.config
        tokens = {
            split: network.bundle.arrays[f"data/{split}"].astype(np.int32)
            for split in reader.SPLITS
        }
        size = config.batch_size, config.num_unroll_steps
        self.words, self.targets = reader.streams(tokens["train"], *size)
        self.train = network.stacks("train", {"words": self.words, "targets": self.targets})
        self.evaluation = {}
        for split in ("valid", "test"):
            padded = dict(
                zip(
                    ("words", "targets", "weights"),
                    reader.padded_streams(tokens[split], *size),
                    strict=True,
                )
            )
            (self.evaluation[split],) = network.stacks("evaluate", padded)


def train_epoch(network: Network, text: Text, rate: float, first_step: int) -> dict[str, float]:
    """Train on the whole text once; returns the metrics.

    Raises FloatingPointError for a step with a NaN or Inf.
    """
    total: dict[str, np.ndarray] = {}
    state = {}
    for n, batches in text.train:
        numbers = {
            "n": np.int32(n),
            "first_step": np.int32(first_step),
            "learning_rate": np.float32(rate),
        }
        found = network.run("train", batches | state | numbers)
        if (bad := int(found["bad"])) >= 0:
            raise FloatingPointError(
                f"step {first_step + bad}: the loss or the gradient is not finite"
            )
        state = {name: value for name, value in found.items() if name.startswith("state/")}
        for name, value in found.items():
            if name.startswith("metrics/"):
                total[name] = total.get(name, 0.0) + np.asarray(value, np.float64)
        first_step += n
    return {
        "train_" + name.removeprefix("metrics/"): value[0] / value[1]
        for name, value in total.items()
    }


def perplexity(
    network: Network, text: Text, split: str, program: str = "evaluate", sample: int = 0
) -> float:
    """Perplexity of a split; `sample` numbers the draw of distances.

    Raises FloatingPointError if it is too large for a float.
    """
    n, batches = text.evaluation[split]
    total, weight = network.run(program, batches | {"n": np.int32(n), "sample": np.int32(sample)})[
        "metrics/loss"
    ]
    mean = float(total) / float(weight)
    if not mean < math.log(sys.float_info.max):
        raise FloatingPointError(f"the loss on {split} is {mean}")
    return math.exp(mean)


def train(
    network: Network,
    text: Text,
    seed: int,
    max_epochs: int,
    folder: pathlib.Path | None,
    every: float = 60.0,
) -> dict:
    """Train with the preset's learning rates, select on valid, test once.

    Resumes a run in `folder`, which gets a checkpoint every `every` seconds and in the end
    `best.npz`, which `--load_model` of LanguageModeling/RL_train.py takes.
    """
    network.begin(seed)
    records: list[dict] = []
    best, saved = dict(network.variables), time.monotonic()
    found = checkpoint.load_latest(folder) if folder and folder.is_dir() else None
    if found:
        _, arrays, meta = found
        records = meta["records"]
        if meta["seed"] != seed:
            raise InputError(
                f"{folder} holds a run of seed {meta['seed']}, not {seed}; choose another folder"
            )
        network.variables, best = (
            {name: network.put(arrays[kind + name]) for name in best} for kind in ("now/", "best/")
        )
        print(f"going on after epoch {len(records)}", flush=True)
    while len(records) < max_epochs:
        rate, start = learning_rate(network.config, records), time.monotonic()
        step = len(text.words) * len(records)
        metrics = train_epoch(network, text, rate, step)
        seconds = time.monotonic() - start
        record = {
            "epoch": len(records) + 1,
            "step": step + len(text.words),
            "learning_rate": rate,
            **metrics,
        }
        record |= {
            "valid_perplexity": perplexity(network, text, "valid"),
            "seconds": round(seconds, 4),
        }
        if record["valid_perplexity"] < min(
            (r["valid_perplexity"] for r in records), default=math.inf
        ):
            best = {name: jnp.copy(value) for name, value in network.variables.items()}
        records.append(record)
        print(
            f"epoch {record['epoch']}: valid_perplexity {record['valid_perplexity']:.5g} "
            f" ({seconds:.1f} s)",
            flush=True,
        )
        if folder and (time.monotonic() - saved > every or len(records) == max_epochs):
            arrays = {
                kind + name: np.asarray(a)
                for kind, of in (("now/", network.variables), ("best/", best))
                for name, a in of.items()
            }
            checkpoint.save(folder, record["step"], arrays, {"records": records, "seed": seed})
            saved = time.monotonic()
    network.variables = best
    if folder:
        checkpoint.save(
            folder,
            records[-1]["step"],
            {name: np.asarray(a) for name, a in best.items()},
            name="best",
        )
    result = {
        f"{split}_perplexity{name.removeprefix('evaluate')}": perplexity(network, text, split, name)
        for split in ("valid", "test")
        for name in network.programs
        if name.startswith("evaluate")
    }
    print("  ".join(f"{name} {value:.5g}" for name, value in result.items()), flush=True)
    seconds = sorted(record["seconds"] for record in records)[len(records) // 2]
    best_epoch = min(records, key=lambda record: record["valid_perplexity"])["epoch"]
    result |= {
        "best_epoch": best_epoch,
        "epochs": len(records),
        "n_weights": network.meta["n_weights"],
    }
    return result | {
        "seconds_per_epoch": seconds,
        "tokens_per_second": round(text.words.size / seconds, 1),
        "records": records,
    }
