"""release_parity.py: the port computes what the release computes, and the check can fail."""

import pathlib

import numpy as np
import pytest
import release_parity
from released import conversion, graph

GOLDEN = pathlib.Path(__file__).parent / "golden"


def check(path, capsys):
    """Exit status, stdout, stderr; without XLA, which takes its time to compile each size."""
    status = release_parity.main(["release_parity.py", str(path)], jit_compile=False)
    return status, *capsys.readouterr()


@pytest.mark.parametrize("name", ["lm_a", "np_a", "np_ln_a"])
def test_recordings_of_the_release(name, capsys):
    status, table, _ = check(GOLDEN / f"{name}.npz", capsys)
    assert status == 0, table


@pytest.mark.parametrize(
    "make, sizes",
    [
        ("language_recording", {"n_basic": 1, "n_actions": 4, "batch": 2, "n_steps": 6}),
        (
            "language_recording",
            {"n_basic": 0, "n_actions": 7, "batch": 1, "n_steps": 3, "lamda_flag": 0.5},
        ),
        ("language_recording", {"n_basic": 2, "n_actions": 1, "size": 2}),
        ("number_recording", {"n_actions": 6, "n_steps": 4, "size": 5}),
        ("number_recording", {"n_actions": 2, "layer_norm": True, "batch": 3}),
        ("number_recording", {"n_actions": 1}),
    ],
    ids=str,
)
def test_any_size(make, sizes, tmp_path, capsys):
    np.savez(tmp_path / "a.npz", **getattr(graph, make)(**sizes))
    status, table, error = check(tmp_path / "a.npz", capsys)
    assert status == 0, table + error


def test_the_graph_in_numpy_is_the_release():
    """The NumPy graph is right where the release recorded: so the recordings it makes of other
    sizes are to be trusted.
    """
    recorded = release_parity.load(GOLDEN / "np_ln_a.npz")
    v = {
        name: a.astype(np.float64) for name, a in release_parity.variables(recorded, "var").items()
    }
    slots = np.pad(recorded["actions"], [(0, 0), (1, 0)])
    xs, zeros = (
        list(np.eye(10)[recorded["numbers"].T]),
        np.zeros_like(recorded["final_h"], np.float64),
    )
    outputs, h, c, probs = graph.skip_lstm(v, "rnn/LSTMCell", xs, zeros, zeros, slots, 4, 1.0)
    np.testing.assert_allclose(np.stack(outputs, 1), recorded["outputs"], atol=1e-6)
    np.testing.assert_allclose(np.stack(probs[1:], 1), recorded["action_probs"], atol=1e-6)


@pytest.mark.parametrize(
    "name, key, change",
    [
        ("np_a", "loss_rl_released", 3e-5),
        ("np_a", "rewards", -2.0),
        ("np_a", "final_c", np.nan),
        ("np_ln_a", "grad:rnn/LSTMCell/ln_c/ln_beta", 1e-4),
    ],
)
def test_a_changed_entry_is_noticed(name, key, change, tmp_path, capsys):
    recorded = release_parity.load(GOLDEN / f"{name}.npz")
    recorded[key].flat[-1] += change
    np.savez(tmp_path / "a.npz", **recorded)
    status, table, _ = check(tmp_path / "a.npz", capsys)
    assert status == 1 and table.count("too large") == 1


def test_a_changed_action_is_noticed(tmp_path, capsys):
    recorded = release_parity.load(GOLDEN / "np_a.npz")
    recorded["actions"][0, -1] = (recorded["actions"][0, -1] + 1) % 4
    np.savez(tmp_path / "a.npz", **recorded)
    assert check(tmp_path / "a.npz", capsys)[0] == 1


def without(*names):
    recorded = release_parity.load(GOLDEN / "np_a.npz")
    return {name: a for name, a in recorded.items() if name not in names}


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "found no file"),
        (b"text", "broken file"),
        (b"PK\x03\x04half", "broken file"),
        ({"a": np.zeros(3)}, "neither tokens nor numbers"),
        (without("logits"), "nothing named 'logits'"),
        (without("var:fc3/bias"), "nothing named 'fc3/bias'"),
        (without("grad:rnn/LSTMCell/W_xh"), "nothing named 'W_xh'"),
        ({**without(), "logits": np.zeros((2, 2))}, "do not fit together"),
        ({**without(), "var:fc3/bias": np.zeros(3, np.float32)}, "expected weights of one size"),
        ({**without(), "numbers": np.array([None])}, "broken file"),
    ],
)
def test_bad_files(content, message, tmp_path, capsys):
    path = tmp_path / "a.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    status, _, error = check(path, capsys)
    assert status == 2
    assert error.count("\n") == 1 and message in error and str(path) in error


def test_as_a_command(capsys):
    """Through XLA, as the tasks run."""
    assert release_parity.main(["release_parity.py", str(GOLDEN / "np_ln_a.npz")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the port computes what the release computes"
    assert release_parity.main(["release_parity.py"]) == 2


def test_conversions_by_hand():
    np.testing.assert_array_equal(
        conversion.reorder_gates(np.array([[1, 2, 10, 20, 100, 200, 7, 8]])),
        [[1, 2, 100, 200, 10, 20, 7, 8]],
    )
    np.testing.assert_array_equal(conversion.add_forget_bias(np.arange(4.0), 0.5), [0, 1.5, 2, 3])
    np.testing.assert_array_equal(conversion.slots_to_distances(np.array([0, 4]), 5), [5, 1])
    weights = conversion.lstm_weights(np.arange(12.0).reshape(3, 4), np.zeros(4))
    assert weights["kernel"].shape == (2, 4) and weights["recurrent_kernel"].tolist() == [
        [8, 10, 9, 11]
    ]
    assert weights["bias"].tolist() == [0, 1, 0, 0]
    scope = "multi_rnn_cell/cell_{}/basic_lstm_cell/"
    found = {}
    for i in (10, 2, 1):
        found |= {
            scope.format(i) + "kernel": np.full((2, 4), float(i)),
            scope.format(i) + "bias": np.zeros(4),
        }
    assert [w["kernel"][0, 0] for w in conversion.basic_lstms(found)] == [1, 2, 10]
