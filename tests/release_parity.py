"""Replays a recording of the released graph through this port: outputs, states, losses, gradients.

    python tests/release_parity.py tests/golden/lm_a.npz

A recording is of the language model or of number prediction (with or without layer normalisation),
of any size; the models are those of `LanguageModeling/` and `NumberPrediction/` under
`--preset released`, the distances those recorded. Prints the largest differences.

Exit status: 0 if outputs, states, probabilities and losses agree within 1e-5 and each gradient
within 1e-4 of its largest entry; 1 if not; 2 if the file is no such recording.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from released import conversion  # noqa: E402

from common.errors import InputError  # noqa: E402
from common.files import read_npz  # noqa: E402
from common.layers.make_layer import run_layer  # noqa: E402
from LanguageModeling.model import LanguageModel  # noqa: E402
from LanguageModeling.presets import PRESETS as LANGUAGE_PRESETS  # noqa: E402
from LanguageModeling.presets import LanguageConfig  # noqa: E402
from NumberPrediction.model import NumberModel  # noqa: E402
from NumberPrediction.presets import PRESETS as NUMBER_PRESETS  # noqa: E402
from NumberPrediction.presets import NumberConfig  # noqa: E402

VALUE_TOLERANCE, GRADIENT_TOLERANCE, GRADIENT_FLOOR = 1e-5, 1e-4, 1e-8

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]  # what is compared: ours, theirs


def load(path: str) -> dict[str, np.ndarray]:
    """The arrays of a recording. Raises `InputError` if the file is none."""
    try:
        return read_npz(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected a recording of the released graph, found no file"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected a recording of the released graph (.npz), found a broken file"
            f" ({error})"
        ) from None


def variables(recording: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The recorded variables or gradients by the release's names; `kind`: "var" or "grad"."""
    return {
        name.removeprefix(f"{kind}:"): a
        for name, a in recording.items()
        if name.startswith(f"{kind}:")
    }


def cell_options(weights: dict[str, np.ndarray]) -> dict:
    """Flags of the skip layer that its weights tell."""
    n_actions = weights["action_bias"].shape[0] if "action_bias" in weights else 1
    agent_units = weights["agent_bias"].shape[0] if n_actions > 1 else 1
    return {
        "rnn_size": len(weights["recurrent_kernel"]),
        "n_actions": n_actions,
        "agent_units": agent_units,
        "lamda": 1.0,
    }


def normalised(layer, weights: dict[str, np.ndarray]):
    """The model's skip layer, or, since no flag asks for it, the same with layer normalisation."""
    if "gate_gain" not in weights:
        return layer
    layer = type(layer).from_config({**layer.get_config(), "layer_norm": True})
    layer.build((None, None, len(weights["kernel"])))
    return layer


def assign(layer, weights: dict[str, np.ndarray]) -> dict[str, tf.Variable]:
    """Set a layer's weights; returns its variables by name."""
    found = {v.name: v for v in layer.trainable_variables}
    if {name: tuple(v.shape) for name, v in found.items()} != {
        name: a.shape for name, a in weights.items()
    }:
        raise InputError(
            "expected weights of one size, found"
            f" { ({name: a.shape for name, a in weights.items()}) }"
        )
    for name, v in found.items():
        v.assign(weights[name])
    return found


def language(recording: dict[str, np.ndarray], jit_compile: bool) -> tuple[Pairs, Pairs]:
    """Values and gradients of a recording of the language model."""
    forget_bias = float(recording["lamda_flag"])

    def converted(kind: str, skip_bias: float, basic_bias: float) -> list[dict]:
        found = variables(recording, kind)
        output = {
            "kernel": one(found, "SimpleLinear/Matrix").T,
            "bias": one(found, "SimpleLinear/Bias"),
        }
        embedding = {"embeddings": one(found, "word_embedding")}
        return [
            embedding,
            *conversion.basic_lstms(found, basic_bias),
            conversion.skip_weights(found, skip_bias),
            output,
        ]

    weights = converted("var", forget_bias, 1.0)
    options = cell_options(weights[-2]) | {
        "rnn_layers": len(weights) - 2,
        "dropout": 0.0,
        "jit_compile": jit_compile,
    }
    if weights[0]["embeddings"].shape[1] != options["rnn_size"]:
        raise InputError("expected word vectors as wide as the recurrent layers, as in the release")
    config = LanguageConfig(preset="released", **(LANGUAGE_PRESETS["released"] | options))
    model = LanguageModel(config, len(weights[0]["embeddings"]))
    model.recurrent[-1] = normalised(model.recurrent[-1], weights[-2])
    layers = [model.embedding, *model.recurrent, model.softmax]
    found = [assign(layer, w) for layer, w in zip(layers, weights, strict=True)]

    names = [f"basic{i}" for i in range(len(weights) - 3)] + ["skip"]
    state = [[tf.constant(recording[f"initial_{name}_{s}"]) for s in "hc"] for name in names]
    distances = conversion.slots_to_distances(recording["actions"], options["n_actions"])
    targets, n_steps = tf.constant(recording["targets"], tf.int32), recording["targets"].shape[1]
    with tf.GradientTape() as tape:
        outputs, final, trace = model.features(
            tf.constant(recording["tokens"], tf.int32), state, distances=tf.constant(distances)
        )
        loss, metrics = model.loss_terms(model.log_likelihood(outputs, targets), trace)
    logits = model.softmax(outputs)
    gradients = tape.gradient(loss, found, unconnected_gradients="zero")
    agent_loss = metrics["agent_loss"][0] if trace is not None else tf.constant(0.0)
    values = {
        "outputs": (outputs, recording["outputs"]),
        "logits": (logits, recording["logits"]),
        "action_probs": slot_probs(trace, recording["action_probs"]),
        "loss_task": (metrics["task_loss"][0], recording["loss_task"]),
        "loss_rl": (agent_loss, recording["loss_rl"]),
        "loss": (loss / n_steps, recording["loss"]),
    }
    for name, one_state in zip(names, final, strict=True):
        values |= {
            f"final_{name}_{s}": (a, recording[f"final_{name}_{s}"])
            for s, a in zip("hc", one_state, strict=True)
        }
    wanted = converted("grad", 0.0, 0.0)
    compared = pair_up(["embedding", *names, "softmax"], gradients, wanted)
    norm = tf.linalg.global_norm([tf.convert_to_tensor(g) for g in tf.nest.flatten(gradients)])
    return values, compared | {"global norm": (norm, recording["grad_global_norm"])}


def number(recording: dict[str, np.ndarray], jit_compile: bool) -> tuple[Pairs, Pairs]:
    """Values and gradients of a recording of number prediction."""

    def converted(kind: str, forget_bias: float) -> list[dict]:
        found = variables(recording, kind)
        return [
            conversion.skip_weights(found, forget_bias),
            {"kernel": one(found, "fc3/kernel"), "bias": one(found, "fc3/bias")},
        ]

    weights = converted("var", float(recording.get("lamda_flag", 1.0)))
    options = cell_options(weights[0]) | {
        "length": recording["numbers"].shape[1] - 1,
        "jit_compile": jit_compile,
    }
    model = NumberModel(NumberConfig(preset="released", **(NUMBER_PRESETS["released"] | options)))
    layers = [normalised(model.recurrent, weights[0]), model.classifier]
    found = [assign(layer, w) for layer, w in zip(layers, weights, strict=True)]

    n_actions, batch = options["n_actions"], len(recording["numbers"])
    distances = conversion.slots_to_distances(recording["actions"], n_actions)
    # the release chooses from step 1 on
    distances = np.concatenate([np.ones((batch, 1), np.int32), distances], 1)
    labels = tf.constant(recording["labels"], tf.int32)
    with tf.GradientTape() as tape:
        x = tf.one_hot(recording["numbers"], 10)
        outputs, final, trace = run_layer(layers[0], x, distances=tf.constant(distances))
        logits = layers[1](outputs[:, -1])
        loss, metrics = model.loss_terms(logits, trace, labels, 0.0)
        if trace is None:  # no agent: the port then trains on the plain cross-entropy
            loss = loss / 10
    gradients = tape.gradient(loss, found, unconnected_gradients="zero")
    loss_rl = metrics["agent_loss"][0] if trace is not None else one_action_loss(recording)
    loss_task = metrics["task_loss"][0] / 10
    probs, wanted_probs = slot_probs(trace, recording["action_probs"])
    reward = 2.0 * (np.argmax(logits, -1) == recording["labels"]) - 1
    chosen = np.take_along_axis(
        np.asarray(probs), recording["actions"][..., None].astype(np.int64), -1
    )[..., 0]
    values = {
        "outputs": (outputs, recording["outputs"]),
        "logits": (logits, recording["logits"]),
        "action_probs": (probs, wanted_probs),
        "rewards": (reward, recording["rewards"]),
        "neg_log_prob_released": (-np.log(chosen + 1), recording["neg_log_prob_released"]),
        "final_h": (final[0], recording["final_h"]),
        "final_c": (final[1], recording["final_c"]),
        "loss_task": (loss_task, recording["loss_task"]),
        "loss_rl_released": (loss_rl, recording["loss_rl_released"]),
        "loss_released": (loss_task + loss_rl, recording["loss_released"]),
    }
    if trace is not None:
        values["loss minimised"] = (loss, recording["loss_released"])
    compared = pair_up(["skip", "fc3"], gradients, converted("grad", 0.0))
    if "grad_global_norm" in recording:
        compared["global norm"] = (
            tf.linalg.global_norm(tf.nest.flatten(gradients)),
            recording["grad_global_norm"],
        )
    return values, compared


def one_action_loss(recording: dict[str, np.ndarray]) -> float:
    """With one action -log(p + 1) is -log 2 at every step: a constant, which this port, where such
    a layer has no agent, leaves out.
    """
    return -np.log(2.0) * recording["rewards"].mean()


def slot_probs(trace, recorded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Our probabilities in the order of the release's slots, and the recorded ones, which may begin
    at step 1.
    """
    if trace is None:
        return np.ones_like(recorded), recorded
    return np.asarray(trace.probs)[:, -recorded.shape[1] :, ::-1], recorded


def pair_up(names: list[str], ours: list[dict], theirs: list[dict]) -> Pairs:
    """Our gradients beside the recorded ones."""
    return {
        f"{name} {key}": (tf.convert_to_tensor(a[key]), b[key])
        for name, a, b in zip(names, ours, theirs, strict=True)
        for key in a
    }


def one(arrays: dict[str, np.ndarray], ending: str) -> np.ndarray:
    """The array whose name ends like this."""
    for name, array in arrays.items():
        if name.endswith(ending):
            return array
    raise KeyError(ending)


def compare(recording: dict[str, np.ndarray], jit_compile: bool = True) -> bool:
    """Print the table of differences; whether all are within the tolerances. `jit_compile`: run the
    recurrences through XLA.

    Raises:
        InputError: the recording is of another kind, incomplete, or does not fit together.
    """
    if "tokens" not in recording and "numbers" not in recording:
        raise InputError(
            "expected a recording of the released graph, found neither tokens nor numbers"
        )
    try:
        values, gradients = (language if "tokens" in recording else number)(recording, jit_compile)
        rows = [row(name, *pair, False) for name, pair in values.items()] + [
            row(name, *pair, True) for name, pair in gradients.items()
        ]
    except KeyError as error:
        raise InputError(
            f"expected a complete recording of the released graph, found nothing named {error}"
        ) from None
    except (ValueError, IndexError, tf.errors.InvalidArgumentError) as error:
        raise InputError(
            "expected a recording of the released graph, found arrays that do not fit together"
            f" ({error})"
        ) from None
    width = max(len(name) for name, *_ in rows)
    print(f"{'':{width}}  {'largest difference':>18}  {'allowed':>9}")
    for name, difference, allowed in rows:
        print(
            f"{name:{width}}  {difference:18.2e} "
            f" {allowed:9.2e}{'' if difference <= allowed else '  too large'}"
        )
    return all(difference <= allowed for _, difference, allowed in rows)


def row(name: str, ours, theirs: np.ndarray, gradient: bool) -> tuple[str, float, float]:
    """Name, largest difference, and how large it may be (a difference that is not a number is too
    large).
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"{name} of shape {theirs.shape} instead of {ours.shape}")
    difference = np.abs(ours - theirs).max()
    allowed = (
        GRADIENT_TOLERANCE * np.abs(theirs).max() + GRADIENT_FLOOR if gradient else VALUE_TOLERANCE
    )
    return (
        ("gradient of " if gradient and name != "global norm" else "") + name,
        float(difference),
        float(allowed),
    )


def main(argv: list[str], jit_compile: bool = True) -> int:
    """The command; returns the exit status."""
    if len(argv) != 2:
        print("usage: python tests/release_parity.py FILE.npz", file=sys.stderr)
        return 2
    try:
        same = compare(load(argv[1]), jit_compile)
    except InputError as error:
        message = " ".join(str(error).split())
        print(
            f"error: {message if argv[1] in message else f'{argv[1]}: {message}'}", file=sys.stderr
        )
        return 2
    print(
        "the port computes what the release computes"
        if same
        else "the port and the recording differ"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
