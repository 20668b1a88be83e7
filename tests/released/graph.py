"""The released graphs, written out in NumPy: makes recordings of any size for `release_parity.py`.

Like the release, and unlike this port: gates i j f o, the forget bias added in the step, one kernel
for input and state of a plain LSTM, slots of a buffer instead of distances. Arrays may have one
leading axis, over which the complex step differentiates (see `numpy_skip_lstm.gradients`); `.real`
is what a stop-gradient is to it.
"""

import numpy as np
from oracles.numpy_skip_lstm import gradients, normalise, row, sigmoid


def gate_step(z, c, forget_bias, norm=None):
    """Pre-activations i j f o [..., B, 4H] and c -> h, c; `norm`: gamma and beta [..., 4H] of the
    gates, [..., H] of the cell state.
    """
    parts = np.split(z, 4, -1)
    if norm is not None:
        gammas, betas = (np.split(a, 4, -1) for a in norm[:2])
        parts = [normalise(p, row(g), row(b)) for p, g, b in zip(parts, gammas, betas, strict=True)]
    i, j, f, o = parts
    c = c * sigmoid(f + forget_bias) + sigmoid(i) * np.tanh(j)
    return np.tanh(c if norm is None else normalise(c, row(norm[2]), row(norm[3]))) * sigmoid(o), c


def basic_lstm(v, scope, xs, h, c):
    outputs = []
    for x in xs:
        both = np.concatenate(
            np.broadcast_arrays(x, h) if x.shape[-1] == h.shape[-1] else joined(x, h), -1
        )
        h, c = gate_step(both @ v[f"{scope}/kernel"] + row(v[f"{scope}/bias"]), c, 1.0)
        outputs.append(h)
    return outputs, h, c


def joined(x, h):
    """x [..., B, D] and h [..., B, H] with the same leading axes."""
    lead = np.broadcast_shapes(x.shape[:-1], h.shape[:-1])
    return np.broadcast_to(x, (*lead, x.shape[-1])), np.broadcast_to(h, (*lead, h.shape[-1]))


def skip_lstm(v, scope, xs, h, c, slots, n_actions, forget_bias):
    """xs: inputs by step. slots [B, T]: of step 0 it selects nothing.

    Returns outputs, h, c, probabilities [..., B, K] by step.
    """
    norm = None
    if f"{scope}/ln/ln_gamma" in v:
        norm = [
            v[f"{scope}/{name}"]
            for name in ("ln/ln_gamma", "ln/ln_beta", "ln_c/ln_gamma", "ln_c/ln_beta")
        ]
    buffer = [(np.zeros_like(h), np.zeros_like(c))] * n_actions
    outputs, probs = [], []
    for t, x in enumerate(xs):
        seen = h if t == 0 else sum(past[0] for past in buffer) / n_actions
        observation = np.concatenate(joined(x, seen), -1).real
        hidden = np.tanh(observation @ v[f"{scope}/fc1/kernel"] + row(v[f"{scope}/fc1/bias"]))
        logits = hidden @ v[f"{scope}/fc2/kernel"] + row(v[f"{scope}/fc2/bias"])
        e = np.exp(logits)
        probs.append(e / e.sum(-1, keepdims=True))
        if t > 0:
            h, c = (
                sum(np.where(slots[:, t, None] == j, past[n], 0) for j, past in enumerate(buffer))
                for n in range(2)
            )
        z = x @ v[f"{scope}/W_xh"] + h @ v[f"{scope}/W_hh_i"] + row(v[f"{scope}/bias"])
        h, c = gate_step(z, c, forget_bias, norm)
        buffer = [*buffer[1:], (h, c)]
        outputs.append(h)
    return outputs, h, c, probs


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def stacked(arrays, axis):
    return np.stack(np.broadcast_arrays(*arrays), axis)


def chosen(probs, slots):
    """Probabilities [..., B, T] of the slots [B, T]."""
    return sum(np.where(slots == j, probs[..., j], 0) for j in range(probs.shape[-1]))


def skip_variables(random, scope, n_inputs, size, width, n_actions, layer_norm):
    shapes = {
        "fc1/kernel": (n_inputs + size, width),
        "fc1/bias": (width,),
        "fc2/kernel": (width, n_actions),
        "fc2/bias": (n_actions,),
        "W_xh": (n_inputs, 4 * size),
        "W_hh_i": (size, 4 * size),
        "bias": (4 * size,),
    }
    if layer_norm:
        shapes |= {
            "ln/ln_gamma": (4 * size,),
            "ln/ln_beta": (4 * size,),
            "ln_c/ln_gamma": (size,),
            "ln_c/ln_beta": (size,),
        }
    return {
        f"{scope}/{name}": random.normal(size=shape, scale=0.5) + name.endswith("gamma")
        for name, shape in shapes.items()
    }


def record(variables, graph, total, extra):
    """A recording: the graph's arrays, the variables, and the gradients of its entry `total`."""
    found = graph(**variables)
    grads = gradients(lambda **v: graph(**v)[total], **variables)
    arrays = {name: np.asarray(a) for name, a in found.items() if not name.startswith("_")} | extra
    arrays |= {f"var:{name}": a for name, a in variables.items()} | {
        f"grad:{name}": a for name, a in grads.items()
    }
    arrays["grad_global_norm"] = np.sqrt(sum((g**2).sum() for g in grads.values()))
    return {
        name: a.astype(np.float32) if a.dtype == np.float64 and name != "lamda_flag" else a
        for name, a in arrays.items()
    }


def language_recording(
    seed=0, batch=2, n_steps=5, size=3, n_words=6, n_actions=4, width=5, n_basic=1, lamda_flag=1.0
):
    """A recording of the language model; for its fields see `release_parity.py`."""
    random = np.random.default_rng(seed)
    tokens, targets = random.integers(0, n_words, (2, batch, n_steps))
    actions = random.integers(0, n_actions, (batch, n_steps))
    names = [f"basic{i}" for i in range(n_basic)] + ["skip"]
    initial = {
        f"initial_{name}_{s}": random.normal(size=(batch, size), scale=0.5)
        for name in names
        for s in "ch"
    }
    top = "LSTM/WordProjection/SimpleLinear"
    variables = {"Embedding/word_embedding": random.normal(size=(n_words, size))}
    cells = [f"LSTM/rnn/multi_rnn_cell/cell_{i}/basic_lstm_cell" for i in range(n_basic)]
    for cell in cells:
        variables |= {
            f"{cell}/kernel": random.normal(size=(2 * size, 4 * size)),
            f"{cell}/bias": random.normal(size=4 * size),
        }
    variables |= skip_variables(random, "LSTM/rnn/LSTMCell", size, size, width, n_actions, False)
    variables |= {
        f"{top}/Matrix": random.normal(size=(n_words, size)),
        f"{top}/Bias": random.normal(size=n_words),
    }

    def graph(**v):
        xs = [v["Embedding/word_embedding"][..., tokens[:, t], :] for t in range(n_steps)]
        final = {}
        for i, cell in enumerate(cells):
            xs, h, c = basic_lstm(
                v, cell, xs, initial[f"initial_basic{i}_h"], initial[f"initial_basic{i}_c"]
            )
            final |= {f"final_basic{i}_h": h, f"final_basic{i}_c": c}
        xs, h, c, probs = skip_lstm(
            v,
            "LSTM/rnn/LSTMCell",
            xs,
            initial["initial_skip_h"],
            initial["initial_skip_c"],
            actions,
            n_actions,
            lamda_flag,
        )
        outputs, probs = stacked(xs, -2), stacked(probs, -2)
        logits = (
            outputs @ np.swapaxes(v[f"{top}/Matrix"], -1, -2)[..., None, :, :]
            + v[f"{top}/Bias"][..., None, None, :]
        )
        log_likelihood = chosen(log_softmax(logits), targets)
        reward = np.exp(log_likelihood).real
        loss_task = -log_likelihood.mean((-2, -1))
        loss_rl = 0.3 * (reward * np.cumsum(-np.log(chosen(probs, actions) + 1e-10), -1)).mean(
            (-2, -1)
        )
        return final | {
            "outputs": outputs,
            "logits": logits,
            "action_probs": probs,
            "loss_task": loss_task,
            "loss_rl": loss_rl,
            "loss": loss_task + loss_rl / n_steps,
            "_minimised": n_steps * loss_task + loss_rl,
            "final_skip_h": h,
            "final_skip_c": c,
        }

    extra = {
        "tokens": tokens,
        "targets": targets,
        "actions": actions,
        "lamda_flag": np.array(lamda_flag),
    }
    return record(variables, graph, "_minimised", extra | initial)


def number_recording(seed=0, batch=4, n_steps=5, size=3, n_actions=3, width=4, layer_norm=False):
    """A recording of number prediction."""
    random = np.random.default_rng(seed)
    numbers, labels = random.integers(0, 10, (batch, n_steps)), random.integers(0, 10, batch)
    actions = random.integers(0, n_actions, (batch, n_steps - 1))
    slots = np.concatenate([np.zeros((batch, 1), int), actions], 1)
    variables = skip_variables(random, "rnn/LSTMCell", 10, size, width, n_actions, layer_norm)
    variables |= {"fc3/kernel": random.normal(size=(size, 10)), "fc3/bias": random.normal(size=10)}

    def graph(**v):
        xs = list(np.eye(10)[numbers.T])
        zeros = np.zeros((batch, size))
        outputs, h, c, probs = skip_lstm(v, "rnn/LSTMCell", xs, zeros, zeros, slots, n_actions, 1.0)
        logits = h @ v["fc3/kernel"] + row(v["fc3/bias"])
        rewards = np.where(logits.real.argmax(-1) == labels, 1.0, -1.0)
        probs = stacked(probs[1:], -2)
        neg_log_prob = -np.log(chosen(probs, actions) + 1)
        one_hot = np.eye(10)[labels]
        loss_task = -(log_softmax(logits) * one_hot).mean((-2, -1))
        loss_rl = (neg_log_prob * rewards[..., None]).mean((-2, -1))
        return {
            "outputs": stacked(outputs, -2),
            "logits": logits,
            "action_probs": probs,
            "rewards": rewards,
            "final_h": h,
            "final_c": c,
            "neg_log_prob_released": neg_log_prob,
            "loss_task": loss_task,
            "loss_rl_released": loss_rl,
            "loss_released": loss_task + loss_rl,
        }

    return record(
        variables,
        graph,
        "loss_released",
        {"numbers": numbers, "labels": labels, "actions": actions},
    )
