"""The LSTM with dynamic skip connections, written out in NumPy, step by step and row by row of the
mask: the tests' oracle.

Every function takes arrays with any number of leading axes before [B, ...] and is analytic, so that
`gradients` can differentiate it by the complex step, exact to rounding (Squire & Trapp 1998): dL/dw
= Im L(w + i 1e-30) / 1e-30.
"""

import numpy as np

GATES = ("kernel", "recurrent_kernel", "bias")
NORM = ("gate_gain", "gate_offset", "state_gain", "state_offset")
AGENT = (
    "agent_input_kernel",
    "agent_recurrent_kernel",
    "agent_bias",
    "action_kernel",
    "action_bias",
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalise(x, gain, offset):
    centred = x - x.mean(-1, keepdims=True)
    return gain * centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3) + offset


def row(v):
    """A vector [..., n] to be added to [..., B, n]."""
    return v[..., None, :]


def lstm_step(w, x, h, c, candidate_mask=1.0, recurrent_masks=(1.0,) * 4):
    """x [..., B, D], h and c [..., B, H] -> the next h and c; a recurrent mask for each gate."""
    gates = np.split(x @ w["kernel"] + row(w["bias"]), 4, -1)
    matrices = np.split(w["recurrent_kernel"], 4, -1)
    gates = [z + (r * h) @ u for z, r, u in zip(gates, recurrent_masks, matrices, strict=True)]
    if "gate_gain" in w:
        gates = [
            normalise(g, row(w["gate_gain"][..., n, :]), row(w["gate_offset"][..., n, :]))
            for n, g in enumerate(gates)
        ]
    i, f, g, o = gates
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g) * candidate_mask
    shown = normalise(c, row(w["state_gain"]), row(w["state_offset"])) if "gate_gain" in w else c
    return sigmoid(o) * np.tanh(shown), c


def run(
    w,
    x,
    distances,
    states,
    *,
    n_actions,
    lamda,
    observation="previous",
    history="carried",
    mask=None,
    zero_output_for_mask=False,
    candidate_mask=None,
    recurrent_mask=None,
    held=None,
    go_backwards=False,
    weights=None,
):
    """The whole sequence, in the order of processing.

    Args:
        w: weights by name. x: [..., B, T, D]. distances: [B, T], in the order of processing.
        states: the layer's initial states, [..., B, K * H] twice ("carried") or [..., B, H] twice
            ("window").
        candidate_mask, recurrent_mask (on h~ before its product), held (zoneout, of h and of c):
            [T, B, H]; recurrent masks of the gates side by side [T, B, 4H].
        weights: [..., B, T, K] of the distances 1..K, in place of what `distances` says.
    Returns:
        outputs and what the agent observes [..., B, T, H] each, and the final states in the form of
        `states`.
    """
    size = w["recurrent_kernel"].shape[-2]
    n_steps = x.shape[-2]
    if history == "carried":
        # oldest first
        past = [[s[..., j * size : (j + 1) * size] for j in range(n_actions)] for s in states]
        enters = [np.zeros_like(past[0][0])] * 2
    else:
        past = [[np.zeros_like(s)] * n_actions for s in states]
        enters = list(states)
    output = np.zeros_like(past[0][0])
    outputs, seen = [], []
    for t in range(n_steps):
        place = n_steps - 1 - t if go_backwards else t
        on = np.ones((x.shape[-3], 1), bool) if mask is None else mask[:, place, None]
        chosen_by = (
            np.eye(n_actions)[distances[:, t] - 1] if weights is None else weights[..., t, :]
        )
        connected = []
        for slots, carried in zip(past, enters, strict=True):
            chosen = sum(
                chosen_by[..., n_actions - j - 1, None] * slot for j, slot in enumerate(slots)
            )
            connected.append(lamda * chosen + (1 - lamda) * slots[-1] + carried)
        seen.append(
            (sum(past[0]) / n_actions if observation == "mean" else past[0][-1]) + enters[0]
        )
        factor = 1.0 if candidate_mask is None else candidate_mask[t]
        of_gates = [1.0] * 4
        if recurrent_mask is not None:
            size = output.shape[-1]
            of_gates = np.split(recurrent_mask[t], recurrent_mask.shape[-1] // size, -1)
            of_gates = of_gates if len(of_gates) == 4 else of_gates * 4
        new = lstm_step(w, x[..., place, :], *connected, factor, of_gates)
        if held is not None:
            mixes = zip(held, connected, new, strict=True)
            new = [d[t] * old + (1 - d[t]) * one for d, old, one in mixes]
        output = np.where(on, new[0], 0.0 * output if zero_output_for_mask else output)
        outputs.append(output)
        past = [
            [
                np.where(on, after, before)
                for before, after in zip(slots, [*slots[1:], state], strict=True)
            ]
            for slots, state in zip(past, new, strict=True)
        ]
        enters = [np.where(on, 0.0, carried) for carried in enters]
    if history == "carried":
        final = [np.concatenate(slots, -1) for slots in past]
    else:
        final = [slots[-1] + carried for slots, carried in zip(past, enters, strict=True)]
    return np.stack(outputs, -2), np.stack(np.broadcast_arrays(*seen), -2), final


def policy(w, x, seen):
    """log pi [..., B, T, K] of inputs [..., B, T, D] and observations [..., B, T, H]."""
    *kernels, last = (w[name][..., None, :, :] for name in AGENT if name.endswith("kernel"))
    bias, last_bias = (w[name][..., None, None, :] for name in AGENT if name.endswith("bias"))
    logits = np.tanh(x @ kernels[0] + seen @ kernels[1] + bias) @ last + last_bias
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def gradients(function, **arrays):
    """dL/da of `function(**arrays) -> L`, a real scalar, for each of the arrays, all their entries
    in one vectorised call.
    """
    result = {}
    for name, array in arrays.items():
        steps = array + 1e-30j * np.eye(array.size).reshape(array.size, *array.shape)
        result[name] = function(**{**arrays, name: steps}).imag.reshape(array.shape) / 1e-30
    return result
