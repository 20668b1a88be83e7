"""Folders of finished runs whose networks were not trained: what the tools need, at the price of
making the weights.
"""

import dataclasses
import pathlib

import numpy as np

from common.config import parse
from common.training import checkpoint
from common.training.run_directory import RunDirectory

TINY = "--rnn_size=4 --agent_units=3 --n_actions=3 --max_epochs=1".split()
TINY += ["--nojit_compile", "--notensorboard"]
FLAGS = {
    "NumberPrediction": ["--n_train=20", "--n_dev=10", "--n_test=10", "--batch_size=10"],
    "LanguageModeling": ["--rnn_layers=1", "--batch_size=2", "--num_unroll_steps=5"],
    "NER": [
        "--word_size=4",
        "--char_size=3",
        "--char_filters=3",
        "--n_buckets=1",
        "--batch_size=2",
    ],
    "Sentiment": ["--word_size=4", "--n_buckets=1", "--batch_size=2", "--dataset=sst5"],
}

SENTENCES = ["the cat sees the dog", "a dog sees a cat", "the <unk> sleeps"] * 10
CONLL = (
    "-DOCSTART- -X- O O\n\n"
    + "Anna NNP B-NP I-PER\nleft VBD B-VP O\nRome NNP B-NP I-LOC\n\nShe PRP B-NP O\n\n" * 4
)
TREES = "(4 (2 the) (4 (3 fine) (2 film)))\n(0 (0 awful) (2 film))\n(2 (2 a) (2 film))\n" * 3


def write_texts(folder: pathlib.Path) -> pathlib.Path:
    """Data of all three text tasks, each in the files that its reader looks for."""
    for name, text, files in (
        ("words", "\n".join(SENTENCES) + "\n", ("train.txt", "valid.txt", "test.txt")),
        ("tags", CONLL, ("eng.train", "eng.testa", "eng.testb")),
        ("trees", TREES, ("train.txt", "dev.txt", "test.txt")),
    ):
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file).write_text(text)
    return folder


def entrypoint(task: str) -> tuple[type, dict, object]:
    """Config class, presets and `build` of a task."""
    if task == "NumberPrediction":
        from NumberPrediction import experiment, presets

        return presets.NumberConfig, presets.PRESETS, experiment.build
    if task == "LanguageModeling":
        from LanguageModeling import experiment, presets

        return presets.LanguageConfig, presets.PRESETS, experiment.build
    if task == "NER":
        from NER import experiment, presets

        return presets.NERConfig, presets.PRESETS, experiment.build
    from Sentiment import experiment, presets

    return presets.SentimentConfig, presets.PRESETS, experiment.build


def arguments(task: str, data: pathlib.Path, *more: str) -> list[str]:
    """The flags of the task's tiny run, and more; without a number of distances where those name a
    cell.
    """
    folder = {"LanguageModeling": "words", "NER": "tags", "Sentiment": "trees"}.get(task)
    tiny = [
        flag
        for flag in TINY
        if "n_actions" not in flag or not any("--cell=" in one for one in more)
    ]
    return [*tiny, *FLAGS[task], *([f"--data_dir={data / folder}"] if folder else []), *more]


def make(task: str, run_dir: pathlib.Path, data: pathlib.Path, *more: str) -> pathlib.Path:
    """The folder of a run that has finished, its weights as they were made."""
    config_class, presets, build = entrypoint(task)
    config = parse(
        config_class,
        presets,
        ["RL_train.py", *arguments(task, data, *more), f"--run_dir={run_dir}"],
    )
    directory = RunDirectory.open(run_dir, config, ["RL_train.py"])
    experiment = build(config)
    experiment.optimizer.build(experiment.model.trainable_variables)
    variables = [*experiment.model.variables, *experiment.optimizer.variables]
    arrays = {
        f"variable/{i}/{v.path.split('/', 1)[-1]}": np.array(v.numpy())
        for i, v in enumerate(variables)
    }
    meta = {"epoch": 1, "step_in_epoch": 0, "epoch_seconds": 0.0, "seconds": 0.0}
    checkpoint.save(directory.checkpoints, 1, arrays, meta)
    checkpoint.save(directory.checkpoints, 1, arrays, meta, "best")
    directory.log_epoch({"epoch": 1, "step": 1})
    directory.write_result({"test_accuracy_greedy": 0.5, "fields": len(dataclasses.fields(config))})
    return run_dir
