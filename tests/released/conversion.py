"""Weights and gradients of the released code (TensorFlow 1) in the layout of this project.

The release orders the gates i, j (candidate), f, o and adds its forget bias, a constant, to f in
every step; here, as in Keras, the order is i, f, c, o and the constant is part of the variable. Its
skip layer passes the flag `lamda` by position where the cell expects the forget bias, so that the
released `--lamda 0.5` is a forget bias of 0.5 with the chosen state taken whole (lamda = 1 here).

Gradients convert like weights, with a forget bias of 0: all conversions are linear.
"""

import re
from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]


def reorder_gates(array: np.ndarray) -> np.ndarray:
    """i, j, f, o -> i, f, c, o along the last axis: [..., 4H] -> [..., 4H].

    The released j is Keras' c.
    """
    i, j, f, o = np.split(array, 4, -1)
    return np.concatenate([i, f, j, o], -1)


def add_forget_bias(bias: np.ndarray, forget_bias: float) -> np.ndarray:
    """A bias [4H] in the order i, f, c, o with the constant on f."""
    size = len(bias) // 4
    return bias + np.repeat([0.0, forget_bias, 0.0, 0.0], size).astype(bias.dtype)


def lstm_weights(
    kernel: np.ndarray, bias: np.ndarray, forget_bias: float = 1.0
) -> dict[str, np.ndarray]:
    """A BasicLSTMCell's kernel [D + H, 4H] (input first) and bias [4H] -> `kernel` [D, 4H],
    `recurrent_kernel` [H, 4H], `bias` [4H].
    """
    size = len(bias) // 4
    kernel = reorder_gates(kernel)
    return {
        "kernel": kernel[:-size],
        "recurrent_kernel": kernel[-size:],
        "bias": add_forget_bias(reorder_gates(bias), forget_bias),
    }


def skip_weights(variables: Arrays, forget_bias: float = 1.0) -> dict[str, np.ndarray]:
    """The released skip cell -> the weights of `DynamicSkipLSTMCell`, by their names there.

    Args:
        variables: by the release's names (`.../LSTMCell/W_xh` and so on), other variables are
            ignored: `W_xh` [D, 4H], `W_hh_i` [H, 4H], `bias` [4H], the agent's `fc1` (kernel [D +
            H, A], input first) and `fc2` [A, K], and with layer normalisation `ln` (gamma and beta
            [4H]) on the gates and `ln_c` [H] on the cell state.
        forget_bias: the constant: the release's flag `lamda`. With layer normalisation it is added
            behind it, so that it belongs to the offset of f.
    Raises:
        KeyError: a variable is missing.
    """
    cell = {
        name.rsplit("LSTMCell/", 1)[1]: array
        for name, array in variables.items()
        if "/LSTMCell/" in f"/{name}"
    }
    size = cell["W_hh_i"].shape[0]
    weights = {
        name: reorder_gates(cell[theirs])
        for name, theirs in (("kernel", "W_xh"), ("recurrent_kernel", "W_hh_i"), ("bias", "bias"))
    }
    if "ln/ln_gamma" in cell:
        offset = add_forget_bias(reorder_gates(cell["ln/ln_beta"]), forget_bias)
        weights |= {
            "gate_gain": reorder_gates(cell["ln/ln_gamma"]).reshape(4, size),
            "gate_offset": offset.reshape(4, size),
        }
        weights |= {"state_gain": cell["ln_c/ln_gamma"], "state_offset": cell["ln_c/ln_beta"]}
    else:
        weights["bias"] = add_forget_bias(weights["bias"], forget_bias)
    # with one action there is nothing to choose, and no agent here
    if cell["fc2/bias"].shape[0] > 1:
        fc1 = cell["fc1/kernel"]
        weights |= {
            "agent_input_kernel": fc1[:-size],
            "agent_recurrent_kernel": fc1[-size:],
            "agent_bias": cell["fc1/bias"],
        }
        # Slot j, the release's action, is distance K - j.
        weights |= {
            "action_kernel": cell["fc2/kernel"][:, ::-1],
            "action_bias": cell["fc2/bias"][::-1],
        }
    return weights


def basic_lstms(variables: Arrays, forget_bias: float = 1.0) -> list[dict[str, np.ndarray]]:
    """The weights of the plain LSTMs below the skip layer, the lowest first (or an empty list)."""
    kernels = {
        name: name.removesuffix("kernel") + "bias"
        for name in variables
        if name.endswith("basic_lstm_cell/kernel")
    }

    def depth(name: str) -> int:
        found = re.search(r"cell_(\d+)/basic_lstm_cell", name)
        return int(found[1]) if found else 0

    return [
        lstm_weights(variables[name], variables[kernels[name]], forget_bias)
        for name in sorted(kernels, key=depth)
    ]


def slots_to_distances(actions: np.ndarray, n_actions: int) -> np.ndarray:
    """The release's actions are slots of its buffer, oldest first: slot j is distance K - j."""
    return (n_actions - actions).astype(np.int32)
