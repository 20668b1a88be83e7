"""Peak memory of a layer's forward and backward pass, beside autodiff through the cell.

Linux only: it reads /proc.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

CASES = (
    "DynamicSkipLSTM, K 5",
    "DynamicSkipLSTM, K 50",
    "RNN(DynamicSkipLSTMCell), K 5",
    "RNN(DynamicSkipLSTMCell), K 50",
    "keras LSTM",
)


def peak_mib(case: str, n_steps: int) -> float:
    """Peak MiB above the memory of weights and inputs.

    Measured in a separate process that returns memory to the system as soon as it is free.
    """
    # Without oneDNN TensorFlow asks the system for memory, not a pool of its own.
    settings = {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "MALLOC_MMAP_THRESHOLD_": "8192",
        "MALLOC_TRIM_THRESHOLD_": "8192",
        "MALLOC_ARENA_MAX": "1",
    }
    command = [sys.executable, "-m", "benchmarks.memory", case, str(n_steps)]
    output = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, check=True, capture_output=True, text=True
    ).stdout
    return float(output.split()[-1])


def _status(key: str) -> float:
    """A value of /proc/self/status, in MiB."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def measure(case: str, n_steps: int) -> float:
    """Peak MiB in this process."""
    import keras

    from benchmarks.layers import PTB, tensorflow_step
    from common import DynamicSkipLSTM, DynamicSkipLSTMCell

    name, _, n_actions = case.partition(", K ")
    units, settings = PTB.units, {"n_actions": int(n_actions or 1), "agent_units": PTB.agent_units}
    if name == "DynamicSkipLSTM":
        layer = DynamicSkipLSTM(units, return_sequences=True, jit_compile=False, **settings)
    elif name == "keras LSTM":
        layer = keras.layers.LSTM(units, return_sequences=True, use_cudnn=False)
    else:
        layer = keras.layers.RNN(DynamicSkipLSTMCell(units, **settings), return_sequences=True)
    step = tensorflow_step(layer, PTB._replace(n_steps=n_steps).shape, False)
    for _ in range(2):
        step()
    peaks = []
    for _ in range(3):
        before = _status("VmRSS")
        # the peak starts anew
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        step()
        peaks.append(_status("VmHWM") - before)
    return sorted(peaks)[1]


if __name__ == "__main__":
    print(measure(sys.argv[1], int(sys.argv[2])))
