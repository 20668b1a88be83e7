"""Makes the bundle of a language model.

It holds training and evaluation as the trainer compiles them, the text, and results that
TensorFlow computes here, to compare with.
"""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.networks import language_models
from benchmarks.without_tensorflow import hlo_bundle, hlo_module
from benchmarks.without_tensorflow.export_hlo import ExportConfig
from benchmarks.without_tensorflow.hlo_bundle import Bundle
from benchmarks.without_tensorflow.hlo_module import Module
from common.errors import InputError
from common.ops.random import fold
from common.training.compiled_steps import EVALUATE, TRAIN, Trainer
from common.training.make_trainer import count_weights, make_trainer, set_precision
from common.training.provenance import describe_start
from common.training.restore import by_name
from common.training.task_model import NamedTensors
from LanguageModeling import reader
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts.spellings import Spellings, spell
from LanguageModeling.presets import LanguageConfig

# functions with arguments of the shapes that they take
Programs = dict[str, tuple[Callable, dict[str, Any]]]


def export(config: ExportConfig) -> dict[str, Module]:
    """Write the bundle and print its content.

    Raises `InputError` for flags or a text that cannot be used.
    """
    refuse_what_is_not_exported(config)
    given, config = config, dataclasses.replace(config, jit_compile=True)
    tf.config.experimental.enable_tensor_float_32_execution(config.tf32)
    set_precision(config)
    texts, n_words, spellings = read_texts(config)
    model = LanguageModel(config, n_words, spellings)
    if config.model == "char":
        model.embedding.distinct = False  # XLA wants to know how many there are
    optimizer = keras.optimizers.SGD(config.learning_rate, weight_decay=config.weight_decay or None)
    trainer = make_trainer(model, config, optimizer)
    variables = by_name([*model.variables, *trainer.optimizer.variables])
    functions = programs(config, trainer, texts)
    modules = {
        name: hlo_module.make_module(*program, variables, name)
        for name, program in functions.items()
    }

    rules = {name: hlo_bundle.rule(v.numpy(), config.param_init) for name, v in variables.items()}
    meta = {
        "flags": {
            name: value
            for name, value in dataclasses.asdict(given).items()
            if name in LanguageConfig.__dataclass_fields__
        },
        "n_words": n_words,
        "n_weights": count_weights(model),
        "variables": [
            {"name": name, "shape": list(v.shape), **rules[name]} for name, v in variables.items()
        ],
        "programs": {
            name: module.layout | {"stream": int(functions[name][1]["seed"][1])}
            for name, module in modules.items()
        },
        **describe_start(),
    }
    arrays = {name: v.numpy() for name, v in variables.items() if not rules[name]}
    arrays |= {
        f"data/{split}": text.astype(np.min_scalar_type(n_words - 1))
        for split, text in texts.items()
    }
    for module in modules.values():
        arrays |= module.constants
    bundle = Bundle(
        meta, {name: module.proto.SerializeToString() for name, module in modules.items()}, arrays
    )
    if config.reference:
        arrays |= reference(
            config,
            bundle,
            {name: module.run for name, module in modules.items()},
            functions,
            variables,
        )
    hlo_bundle.write(config.out, bundle)

    for name, module in modules.items():
        counts = module.layout["loops"]
        known = ", ".join(str(n) for n in counts if n is not None)
        print(
            f"{name}: {len(bundle.modules[name]) / 1e3:.0f} kB, loops of {known} steps and"
            f" {counts.count(None)} of any number"
        )
    print(f"{config.out}: {os.path.getsize(config.out) / 1e3:.0f} kB", flush=True)
    return modules


def refuse_what_is_not_exported(config: ExportConfig) -> None:
    """Raises `InputError` for what a run has beyond words, network and learning rate."""
    kept = {"model": ("word", "char"), "output": ("plain",), "condition": ("none",)}
    kept |= {"topics": (0,), "load_model": ("",), "train_samples": (1,), "entropy_decay": (1,)}
    for name, values in kept.items():
        if getattr(config, name) not in values:
            raise InputError(
                f"--{name} expects {' or '.join(map(str, values)) or 'nothing'} here, got"
                f" {getattr(config, name)}: a bundle has no other; leave it out"
            )


def read_texts(config: ExportConfig) -> tuple[dict[str, np.ndarray], int, Spellings | None]:
    """Word ids of the splits, the number of words, and their spellings if the model needs them."""
    if not config.data_dir:
        n_tokens = config.batch_size * (config.n_batches * config.num_unroll_steps + 1)
        texts = {
            split: language_models.random_words(n_tokens, config.n_words, seed)
            for seed, split in enumerate(reader.SPLITS)
        }
        return texts, config.n_words, language_models.spellings()
    corpus = reader.load(config.data_dir, config.tokens, config.min_count)
    spellings = spell(corpus.vocabulary, config.max_chars) if config.model == "char" else None
    return (
        {split: getattr(corpus, split) for split in reader.SPLITS},
        len(corpus.vocabulary),
        spellings,
    )


def programs(config: ExportConfig, trainer: Trainer, texts: dict[str, np.ndarray]) -> Programs:
    """The programs of the bundle; their arguments are those at the start of a run.

    train                       n steps, as `Trainer.train_steps`
    evaluate, evaluate_greedy   n batches, as `Trainer.evaluate_steps`
    evaluate_mixtureS           the same for the mixture of S chains, with --eval_samples S
    connections                 the distances [B, T] that the agent chooses, if there is one
    """
    model, size = trainer.model, (config.batch_size, config.num_unroll_steps)
    words, targets = reader.streams(texts["train"], *size)
    n_batches = config.steps or len(words)
    if config.reference > n_batches:
        raise InputError(
            f"--reference {config.reference} expects as many batches in a call, found {n_batches};"
            " choose fewer"
        )
    evaluated = max(
        (reader.padded_streams(texts[split], *size) for split in ("valid", "test")),
        key=lambda arrays: len(arrays[0]),
    )

    def train(
        batches: NamedTensors,
        n: tf.Tensor,
        state: list,
        seed: tf.Tensor,
        first_step: tf.Tensor,
        learning_rate: tf.Tensor,
    ):
        state, metrics, bad = trainer.train_steps(
            batches, n, state, seed, first_step, {"learning_rate": learning_rate}
        )
        return {"state": state, "metrics": metrics, "bad": bad}

    def evaluate(
        batches: NamedTensors,
        n: tf.Tensor,
        state: list,
        seed: tf.Tensor,
        sample: tf.Tensor,
        how: tuple[bool | int, ...] = (False,),
    ):
        return {
            "metrics": trainer.evaluate_steps(batches, n, state, fold(seed, sample), 0, *how)[1]
        }

    def connections(words: tf.Tensor, state: list, seed: tf.Tensor):
        return {"distances": model.features(words, state, seed=seed)[2].distances}

    state = model.initial_state(config.batch_size)
    of_training = {
        "batches": {"words": _first(words, n_batches), "targets": _first(targets, n_batches)},
        "n": 0,
        "state": state,
        "seed": np.int32([config.seed, TRAIN]),
        "first_step": 0,
        "learning_rate": config.learning_rate,
    }
    of_evaluation = {
        "batches": dict(zip(("words", "targets", "weights"), evaluated, strict=True)),
        "n": 0,
        "state": state,
        "seed": np.int32([config.seed, EVALUATE]),
        "sample": 0,
    }
    found: Programs = {
        "train": (train, of_training),
        "evaluate": (evaluate, of_evaluation),
        "evaluate_greedy": (functools.partial(evaluate, how=(True,)), of_evaluation),
    }
    if config.n_chains > 1:
        found[f"evaluate_mixture{config.n_chains}"] = (
            functools.partial(evaluate, how=(False, config.n_chains)),
            of_evaluation | {"state": model.initial_state(config.batch_size * config.n_chains)},
        )
    if config.cell == "dynamic_skip" and config.n_actions > 1:
        found["connections"] = (
            connections,
            {"words": words[0], "state": state, "seed": of_training["seed"]},
        )
    return found


def reference(
    config: ExportConfig,
    bundle: Bundle,
    run: dict[str, Callable],
    functions: Programs,
    variables: dict,
) -> dict[str, np.ndarray]:
    """TensorFlow's results on this machine, starting from the bundle's initial weights.

    Metrics of each of the first training steps, and after them the state, the weights, distances
    and an evaluation.
    """
    for number, variable in enumerate(variables.values()):
        variable.assign(hlo_bundle.initial_value(bundle, number, config.seed))
    arguments = functions["train"][1]
    stack, metrics = arguments["batches"], []
    for step in range(config.reference):
        batches = {name: np.roll(array, -step, 0) for name, array in stack.items()}
        found = run["train"](**arguments | {"batches": batches, "n": 1, "first_step": step})
        state = [value for name, value in found.items() if name.startswith("state/")]
        arguments = arguments | {"state": keras.tree.pack_sequence_as(arguments["state"], state)}
        metrics.append(
            {name: value for name, value in found.items() if name.startswith("metrics/")}
        )
    arrays = {f"steps/{name}": np.stack([one[name] for one in metrics]) for name in metrics[0]}
    arrays |= {
        name: value.astype(np.float32) for name, value in found.items() if name.startswith("state/")
    }
    arrays |= {name: hlo_bundle.sample(v.numpy()) for name, v in variables.items()}
    for name in functions.keys() - {"train"}:
        function, arguments = functions[name]
        n = {"n": len(arguments["batches"]["words"])} if "n" in arguments else {}
        arrays |= {f"{name}/{key}": value for key, value in run[name](**arguments | n).items()}
    return {f"reference/{name}": array for name, array in arrays.items()}


def _first(batches: np.ndarray, n: int) -> np.ndarray:
    """The first n, filled up with copies of the last."""
    return batches[np.minimum(np.arange(n), len(batches) - 1)]
