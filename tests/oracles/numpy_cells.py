"""The comparators' recurrences written out in NumPy, a whole sequence each, from zero states: the
tests' oracle.

Each function takes weights by name and x [..., B, T, D] with any number of leading axes on either,
and returns the outputs [..., B, T, H]; it is analytic, but for kinks, so that
`numpy_skip_lstm.gradients` can differentiate it by the complex step. A rounding keeps the imaginary
part of what it rounds: that is the straight-through gradient.
"""

import numpy as np
from oracles.numpy_skip_lstm import row, sigmoid

UNITS = 3


def relu(z):
    return np.where(z.real > 0, z, 0)


def over_time(step, x, *states):
    """Outputs of step(x_t, t, *states) -> (output, *states), and what it leaves."""
    outputs = []
    for t in range(x.shape[-2]):
        output, *states = step(x[..., t, :], t, *states)
        outputs.append(output)
    return np.stack(np.broadcast_arrays(*outputs), -2), states


def zeros(x):
    return np.zeros((x.shape[-3], UNITS))


def gates(z, c):
    i, f, g, o = np.split(z, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def affine(w, x, h, suffix=""):
    return x @ w["kernel" + suffix] + h @ w["recurrent_kernel" + suffix] + row(w["bias" + suffix])


def gru_step(w, x, h):
    (W_z, W_r, W_h), (U_z, U_r, U_h), (b_z, b_r, b_h) = (
        np.split(w[n], 3, -1) for n in ("kernel", "recurrent_kernel", "bias")
    )
    z = sigmoid(x @ W_z + h @ U_z + row(b_z))
    r = sigmoid(x @ W_r + h @ U_r + row(b_r))
    return z * h + (1 - z) * np.tanh(x @ W_h + (r * h) @ U_h + row(b_h))


def gru(w, x):
    return over_time(lambda x, t, h: (gru_step(w, x, h),) * 2, x, zeros(x))[0]


def fixed_skip(w, x, skip, lamda):
    past = [(zeros(x), zeros(x))] * skip
    outputs = []
    for t in range(x.shape[-2]):
        h, c = (
            lamda * old + (1 - lamda) * new for old, new in zip(past[-skip], past[-1], strict=True)
        )
        past.append(gates(affine(w, x[..., t, :], h), c))
        outputs.append(past[-1][0])
    return np.stack(outputs, -2)


def attention(w, x, n_actions, lamda, observation):
    past = [(zeros(x), zeros(x))] * n_actions
    outputs = []
    for t in range(x.shape[-2]):
        x_t, recent = x[..., t, :], past[: -n_actions - 1 : -1]  # recent[k - 1] is distance k
        seen = sum(h for h, _ in recent) / n_actions if observation == "mean" else recent[0][0]
        hidden = np.tanh(
            x_t @ w["agent_input_kernel"]
            + seen @ w["agent_recurrent_kernel"]
            + row(w["agent_bias"])
        )
        scores = np.exp(hidden @ w["action_kernel"] + row(w["action_bias"]))
        pi = scores / scores.sum(-1, keepdims=True)
        h, c = (
            lamda * sum(pi[..., k : k + 1] * recent[k][n] for k in range(n_actions))
            + (1 - lamda) * recent[0][n]
            for n in range(2)
        )
        past.append(gates(affine(w, x_t, h), c))
        outputs.append(past[-1][0])
    return np.stack(np.broadcast_arrays(*outputs), -2)


def update_skipping(w, x, update, n_states):
    """Outputs and u [..., B, T]."""
    states = [zeros(x) + row(w[f"initial_state_{n}"]) for n in range(n_states)]
    pending, outputs, us = np.ones((x.shape[-3], 1), complex), [], []
    for t in range(x.shape[-2]):
        assert np.abs(pending.real - 0.5).min() > 1e-3  # float32 rounds it to the same side
        u = np.round(pending.real) + 1j * pending.imag
        new = update(x[..., t, :], *states)
        states = [u * a + (1 - u) * b for a, b in zip(new, states, strict=True)]
        du = sigmoid(states[-1] @ w["update_kernel"] + row(w["update_bias"]))
        pending = u * du + (1 - u) * (
            pending + np.where(du.real < 1 - pending.real, du, 1 - pending)
        )
        outputs.append(states[0])
        us.append(u[..., 0])
    return np.stack(np.broadcast_arrays(*outputs), -2), np.stack(np.broadcast_arrays(*us), -1)


def skip_lstm(w, x, update_cost):
    return update_skipping(w, x, lambda x, h, c: gates(affine(w, x, h), c), 2)


def skip_gru(w, x, update_cost):
    return update_skipping(w, x, lambda x, h: [gru_step(w, x, h)], 1)


def time_delay(w, x, delay, base):
    hs, c = [zeros(x)] * delay, zeros(x)
    for t in range(x.shape[-2]):
        z = affine(w, x[..., t, :], hs[-1]) + hs[-delay] @ w["delayed_kernel"]
        h, c = gates(z, c) if base == "lstm" else (np.tanh(z), c)
        hs.append(h)
    return np.stack(np.broadcast_arrays(*hs[delay:]), -2)


def leaky(w, x, leak):
    a = row(sigmoid(w["leak"]) if leak == "learned" else w["leak"])

    def step(x, t, mu):
        mu = a * mu + (1 - a) * np.tanh(affine(w, x, mu))
        return mu, mu

    return over_time(step, x, zeros(x))[0]


def clockwork(w, x, periods):
    """Unit by unit; group g has unit g, for as many groups as units, else the first group has two
    of the three.
    """
    period = periods if len(periods) == UNITS else [periods[0], periods[0], periods[1]]

    def step(x, t, h):
        new = []
        for to in range(UNITS):
            z = x @ w["kernel"][..., to : to + 1] + row(w["bias"][..., to : to + 1])
            for source in range(UNITS):
                if period[source] >= period[to]:
                    z = z + h[..., source : source + 1] * row(
                        w["recurrent_kernel"][..., source, to : to + 1]
                    )
            new.append(np.tanh(z) if t % period[to] == 0 else h[..., to : to + 1] + 0 * z)
        h = np.concatenate(np.broadcast_arrays(*new), -1)
        return h, h

    return over_time(step, x, zeros(x))[0]


def skip_rnn(w, x, n_matrices, base, skip=None):
    hs, c = [], zeros(x)
    for t in range(x.shape[-2]):
        z = (
            x[..., t, :] @ w["kernel"]
            + (hs[-1] if hs else zeros(x)) @ w[f"recurrent_kernel_{t % n_matrices}"]
            + row(w["bias"])
        )
        h, c = gates(z, c) if base == "lstm" else (relu(z), c)
        if skip is not None and t % skip == 0 and t >= skip:
            h = h + hs[t - skip]
        hs.append(h)
    return np.stack(np.broadcast_arrays(*hs), -2)


def peephole_lstm(w, x, variant):
    names = {"NIG": "fgo", "NFG": "igo", "NOG": "ifg", "CIFG": "igo"}.get(variant, "ifgo")

    def step(x, t, h, c, before):
        z = dict(zip(names, np.split(affine(w, x, h), len(names), -1), strict=True))
        if variant == "FGR":
            for j, to in enumerate("ifo"):
                block = w["gate_kernel"][..., j * UNITS : (j + 1) * UNITS]
                z[to] = z[to] + sum(
                    before[k] @ block[..., k * UNITS : (k + 1) * UNITS, :] for k in range(3)
                )
        p = {}
        if variant != "NP":
            p = {
                name: row(w["peephole"][..., n, :]) for n, name in enumerate(names.replace("g", ""))
            }
        i = 1.0 if variant == "NIG" else sigmoid(z["i"] + p.get("i", 0) * c)
        if variant == "CIFG":
            f = 1 - i
        else:
            f = 1.0 if variant == "NFG" else sigmoid(z["f"] + p.get("f", 0) * c)
        c = f * c + i * (z["g"] if variant == "NIAF" else np.tanh(z["g"]))
        o = 1.0 if variant == "NOG" else sigmoid(z["o"] + p.get("o", 0) * c)
        h = o * (c if variant == "NOAF" else np.tanh(c))
        return h, h, c, (i, f, o)

    return over_time(step, x, zeros(x), zeros(x), (zeros(x),) * 3)[0]


ACTIVATIONS = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": relu}


def rnn(w, x, activation="tanh"):
    def step(x, t, h):
        h = ACTIVATIONS[activation](affine(w, x, h, "_0"))
        return h, h

    return over_time(step, x, zeros(x))[0]


def deep_rnn(w, x, depth, shortcut, activation, deep_output):
    a = ACTIVATIONS[activation]

    def step(x, t, h):
        u = a(affine(w, x, h, "_0"))
        for n in range(1, depth):
            z = u @ w[f"recurrent_kernel_{n}"] + row(w[f"bias_{n}"])
            if shortcut:
                z = z + x @ w[f"kernel_{n}"] + h @ w[f"shortcut_kernel_{n}"]
            u = a(z)
        return a(u @ w["output_kernel"] + row(w["output_bias"])) if deep_output else u, u

    return over_time(step, x, zeros(x))[0]


def highway_lstm(w, x, depth):
    def step(x, t, *states):
        new, below = [], None
        for n in range(depth):
            h, c = states[2 * n : 2 * n + 2]
            i, f, g, o = np.split(affine(w, x, h, f"_{n}"), 4, -1)
            c_new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            if n:
                own, lower = (row(w[f"depth_peephole_{n}"][..., k, :]) for k in range(2))
                d = sigmoid(
                    x @ w[f"depth_kernel_{n}"] + own * c + lower * below + row(w[f"depth_bias_{n}"])
                )
                c_new = c_new + d * below
            below, x = c_new, sigmoid(o) * np.tanh(c_new)
            new += [x, c_new]
        return x, *new

    return over_time(step, x, *[zeros(x)] * (2 * depth))[0]


def grid_lstm(w, x, depth, tied, priority=None):
    def transform(h_time, h_depth, m, along, level):
        kernel, bias = (w[f"{along}_{part}_{0 if tied else level}"] for part in ("kernel", "bias"))
        z = h_time @ kernel[..., :UNITS, :] + h_depth @ kernel[..., UNITS:, :] + row(bias)
        i, f, g, o = np.split(z, 4, -1)
        m = sigmoid(f) * m + sigmoid(i) * np.tanh(g)
        return np.tanh(sigmoid(o) * m), m

    def step(x, t, *states):
        h, m = np.split(x @ w["input_kernel"], 2, -1)
        new = []
        for n in range(depth):
            h_time, m_time = states[2 * n : 2 * n + 2]
            new += transform(h_time, h, m_time, "time", n)
            seen = new[2 * n] if priority else h_time
            h, m = transform(seen, h, m, "depth", n)
        return h, *new

    return over_time(step, x, *[zeros(x)] * (2 * depth))[0]
