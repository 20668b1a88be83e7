"""A language model's compiled epoch outside TensorFlow: what is exported, and that JAX computes the
same with it.

JAX is not among the requirements. Where another interpreter has it, name that:
DYNAMIC_SKIP_JAX_PYTHON=/path/to/python
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from benchmarks.without_tensorflow import (
    compile_for_gpu,
    hlo_bundle,
    hlo_module,
    language_model_bundle,
)
from benchmarks.without_tensorflow.export_hlo import ExportConfig
from common.config import parse
from common.errors import InputError
from common.training.make_trainer import make_trainer
from LanguageModeling import experiment as lm_experiment
from LanguageModeling import model as language_model
from LanguageModeling.presets import PRESETS

N_STEPS = 5
FLAGS = (
    f"--preset=small --num_unroll_steps={N_STEPS} --rnn_layers=1 --rnn_size=6 --agent_units=4"
    " --n_actions=3 --lamda=0.5 --batch_size=3 --dropout=0.5 --n_words=20 --n_batches=4"
    " --reference=3 --max_epochs=2 --seed=3 --eval_samples=2"
)
# compiles faster
JAX_SETTINGS = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Path of a bundle, its flags and its modules."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.zip"
    config = parse(ExportConfig, PRESETS, ["export_hlo.py", *FLAGS.split(), f"--out={path}"])
    return path, config, language_model_bundle.export(config)


@LONG
def test_what_a_bundle_holds(made):
    path, _, modules = made
    bundle = hlo_bundle.read(path)
    assert (
        bundle.modules.keys()
        == modules.keys()
        == {"train", "evaluate", "evaluate_greedy", "evaluate_mixture2", "connections"}
    )
    for name, module in modules.items():
        loops = module.layout["loops"]
        # The recurrence, in training its gradient, and the loop over the batches, of which there
        # may be any number.
        assert loops.count(None) == (name != "connections") and loops.count(N_STEPS) == (
            2 if name == "train" else 1
        ), (name, loops)
    assert path.stat().st_size < 1e6
    drawn = {v["name"].split("/", 2)[2] for v in bundle.meta["variables"] if "uniform" in v}
    assert {
        "embedding/embeddings",
        "recurrent/cell/kernel",
        "recurrent/cell/action_kernel",
        "softmax/kernel",
    } <= drawn
    assert not any(
        "bias" in name and "agent" not in name and "action" not in name for name in drawn
    )


def jax_python() -> str:
    """An interpreter that has JAX; the test is skipped where there is none."""
    python = os.environ.get("DYNAMIC_SKIP_JAX_PYTHON") or sys.executable
    if subprocess.run([python, "-c", "import jax"], capture_output=True).returncode:
        pytest.skip(
            f"no JAX in {python}: make extra-ci, or DYNAMIC_SKIP_JAX_PYTHON=INTERPRETER, then"
            " python -m pytest --last-skipped"
        )
    return python


@LONG
def test_jax_computes_what_tensorflow_does(made, root, tmp_path):
    path, config, _ = made
    script, options = (
        root / "benchmarks" / "without_tensorflow" / "run_hlo.py",
        [
            "--check",
            "--epochs",
        ],
    )
    command = [script, path, *options, f"--folder={tmp_path}", f"--results={tmp_path / 'r.json'}"]
    done = subprocess.run(
        [jax_python(), *command], capture_output=True, text=True, env=os.environ | JAX_SETTINGS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {
        "loss of each step",
        "states",
        "weights",
        "distances, share that differs",
        "evaluate",
        "weights, all steps in one call",
    }
    shown = {
        line[2:42].strip(): float(line[42:].split()[0])
        for line in done.stdout.splitlines()
        if line.startswith("  ")
    }
    assert expected <= shown.keys() and max(shown.values()) < 1e-5

    # The checkpoint is one of the project's own: the network that was trained there says the same
    # here.
    result = json.loads((tmp_path / "r.json").read_text())
    assert [record["step"] for record in result["records"]] == [4, 8] and result["flags"][
        "seed"
    ] == 3
    texts, n_words, _ = language_model_bundle.read_texts(config)
    model = language_model.LanguageModel(config, n_words)
    lm_experiment.load_weights(model, tmp_path / "best.npz")
    trainer = make_trainer(model, config)
    found = lm_experiment.perplexity(
        trainer, texts["test"], config.batch_size, N_STEPS, greedy=True
    )
    assert found == pytest.approx(result["test_perplexity_greedy"], rel=1e-4)
    assert found != pytest.approx(result["valid_perplexity_greedy"], rel=1e-4)


def test_what_runs_a_bundle_imports_no_tensorflow(root):
    modules = (
        "benchmarks.without_tensorflow.compile_for_gpu",
        "benchmarks.timing",
        "benchmarks.networks.torch_language_model",
        "common.training.checkpoint",
        "LanguageModeling.reader",
        "LanguageModeling.schedule",
    )
    code = f"import sys, {', '.join(modules)}\n"
    code += "assert not {'tensorflow', 'keras', 'absl', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def module_of(function, **arguments):
    return hlo_module.make_module(function, arguments, {}, "function")


def counted(condition, step, start):
    """The loops of a program that multiplies by two in each pass."""

    def function(x, n):
        _, x = tf.while_loop(
            lambda i, _: condition(i, n), lambda i, x: (step(i), 2.0 * x), (start, x)
        )
        return {"x": x}

    return module_of(function, x=np.float32([1.0]), n=7)


def test_loops_of_known_length():
    up = counted(lambda i, _: i < 5, lambda i: i + 1, 2)
    assert up.layout["loops"] == [3]
    assert up.run(x=np.float32([1.0]), n=7)["x"] == 2.0**3
    assert counted(lambda i, n: (i < 9) & (i < 5), lambda i: i + 1, 2).layout["loops"] == [3]


@pytest.mark.parametrize(
    "condition, step, start",
    [
        (lambda i, n: i < n, lambda i: i + 1, 0),  # the end is an input
        (lambda i, n: i > 0, lambda i: i - 1, 5),  # counts down
        (lambda i, n: i < 8, lambda i: 2 * i, 1),
        (lambda i, n: (i < 8) & (n > i), lambda i: i + 1, 0),
    ],
)
def test_loops_of_unknown_length(condition, step, start):
    assert counted(condition, step, start).layout["loops"] == [None]


def test_an_operation_of_another_library_is_refused():
    with pytest.raises(ValueError, match="function: XLA on other machines has no custom-call"):
        module_of(lambda x: {"q": tf.linalg.qr(x).q}, x=np.eye(3, dtype=np.float32))


def test_variables_are_inputs_and_outputs():
    weight, unchanged = tf.Variable([2.0]), tf.Variable([10.0, 20.0])

    def function(x):
        weight.assign_add(x)
        return {"sum": tf.reduce_sum(weight * unchanged)}

    module = hlo_module.make_module(
        function, {"x": np.float32([1.0])}, {"weight": weight, "unchanged": unchanged}, "function"
    )
    assert [p["name"] for p in module.layout["parameters"]][0] == "x"
    assert {p["name"] for p in module.layout["parameters"]} == {"x", "weight", "unchanged"}
    assert [(r["kind"], r["name"]) for r in module.layout["results"]] == [
        ("result", "sum"),
        ("variable", "weight"),
    ]


def test_random_weights_are_drawn_by_a_rule():
    uniform = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 4)).astype(np.float32)
    uniform[:2] = 0
    assert hlo_bundle.rule(uniform, 0.1) == {"uniform": 0.1, "zero_rows": 2}
    for other in (
        uniform * 1.5,
        np.zeros(9, np.float32),
        np.float32(0.05),
        np.zeros(2, np.int64),
        np.full(9, 0.05, np.float32),
    ):
        assert hlo_bundle.rule(other, 0.1) == {}
    variables = [
        {"name": "a", "shape": [50, 4], "uniform": 0.1, "zero_rows": 2},
        {"name": "b", "shape": [2]},
    ]
    bundle = hlo_bundle.Bundle({"variables": variables}, {}, {"b": np.float32([3, 4])})
    first, again, other = (hlo_bundle.initial_value(bundle, 0, seed) for seed in (0, 0, 1))
    assert first.dtype == np.float32 and np.all(first == again) and np.all(first[2:] != other[2:])
    assert not first[:2].any() and 0.09 < np.abs(first).max() <= 0.1
    assert hlo_bundle.initial_value(bundle, 1, 5).tolist() == [3, 4]


def test_differences():
    assert hlo_bundle.difference(np.float32([1, 2]), np.float32([1, 4])) == 0.5
    assert hlo_bundle.difference(np.float32([np.nan]), np.float32([1])) == np.inf
    one_off = np.float32([1] * 999 + [3])
    assert hlo_bundle.difference(one_off, np.ones(1000, np.float32)) == 2
    assert hlo_bundle.difference(one_off, np.ones(1000, np.float32), share=0.999) == 0
    assert (
        len(hlo_bundle.sample(np.zeros((999, 999)))) < 2 * hlo_bundle.SAMPLED
        and len(hlo_bundle.sample(np.zeros((9, 9)))) == 81
    )


@pytest.mark.parametrize(
    "flags",
    "--preset=mixed --output=suffix --topics=2 --load_model=runs/a --train_samples=2"
    " --entropy_decay=.5 --preset=reviews".split(),
)
def test_what_a_bundle_has_not_is_refused(flags, tmp_path):
    config = parse(ExportConfig, PRESETS, ["export_hlo.py", flags, f"--out={tmp_path / 'a.zip'}"])
    with pytest.raises(InputError, match=r"expects \S+ .*here, got .*: a bundle has no other"):
        language_model_bundle.export(config)
    assert not list(tmp_path.iterdir())


def test_what_is_no_bundle(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    for name in ("text.zip", "absent.zip"):
        with pytest.raises(
            InputError, match="expected a bundle of benchmarks/without_tensorflow/export_hlo.py"
        ):
            hlo_bundle.read(tmp_path / name)


COMPILED = """
HloModule jit_train

%inner (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]) parameter(0)
  %x = f32[4]{0} get-tuple-element(%p), index=1
  %dot = (f32[4]{0}, s8[0]{0}) custom-call(%x), custom_call_target="__cublas$gemm"
  %start = ((f32[4], s32[]), f32[4], u32[]) fusion-start(%x), kind=kLoop, calls=%f
  %done = f32[4]{0} fusion-done(%start)
  ROOT %t = (s32[], f32[4]) tuple(%x, %done)
}

%outer (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]) parameter(0)
  %add = (f32[4]{0}, /*index=1*/f32[4]{0}) fusion(%p), kind=kLoop, calls=%f
  ROOT %w = (s32[], f32[4]) while(%add), condition=%c, body=%inner, BACKEND
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %a = f32[4] parameter(0)
  %copy.1 = f32[4] copy(%a)
  ROOT %w = (s32[], f32[4]) while(%copy.1), condition=%c, body=%outer
}
""".replace("BACKEND", 'backend_config={"known_trip_count":{"n":"35"}}')


def test_what_a_compiled_program_launches(capsys):
    entry = compile_for_gpu.read(COMPILED)
    ((length, outer),) = entry.loops
    assert length is None and entry.kernels == 1 and outer.kernels == 1
    ((length, inner),) = outer.loops
    assert length == 35 and inner.kernels == 2
    assert entry.custom_calls == {"__cublas$gemm": 1} and entry.launches() == 1 + 1 + 35 * 2
    entry.describe()
    assert (
        capsys.readouterr().out.splitlines()[1]
        == "  loop of 35 steps, in each 2 kernels and 0 loops"
    )
