"""Generates or reads the data of number prediction and of the recall task."""

import dataclasses
import json
import pathlib
import shlex

import numpy as np

from common.errors import InputError
from common.files import read_npz

N_DIGITS = 10
SPLITS = ("train", "dev", "test")
LABEL_RULES = ("paper", "last_ten", "released")

# The columns that the released produce_data.py writes: 100 digits, then the index, then the label.
_RELEASED_DIGITS = 100


@dataclasses.dataclass(frozen=True)
class Examples:
    """One split: `numbers` [N, T], int8 digits, the last column the index; `labels` [N], int8."""

    numbers: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class NumberData:
    """The three splits of T = length + 1 inputs, and the rule that made the labels."""

    train: Examples
    dev: Examples
    test: Examples
    length: int
    label_rule: str


def random_of(seed: int, split: str) -> np.random.Generator:
    """The random generator of a split: determined by the seed, independent between splits."""
    if split not in SPLITS:
        raise InputError(f"expected one of the splits {', '.join(SPLITS)}, found {split!r}")
    if seed < 0:
        raise InputError(f"expected a seed of at least 0, found {seed}")
    return np.random.default_rng([seed, SPLITS.index(split)])


def rule_labels(numbers: np.ndarray, label_rule: str) -> np.ndarray | None:
    """The labels [N] that a rule gives to inputs [N, T]; None if the inputs do not determine them.

    With digits x_0 .. x_{L-1} and the index x_L, L = T - 1:

        paper     y = x[x_L]            0-based, so among the first ten digits: 8 5 1 7 4 | 3 -> 7
        last_ten  y = x[L - 10 + x_L]   among the last ten; the same for L = 10
        released  the released produce_data.py writes a row of 102 columns: 100 digits a_0 .. a_99,
                  an index b, and a[b + 90]. The released trainer (T = 11) takes columns 0 .. 10 as
                  inputs and column 11 as the label: a_0 .. a_9, "index" a_10, and as label the next
                  digit a_11, which no input determines. For any L < 100, therefore, no model can be
                  right in more than 10 % of the rows. Only L = 100 reads the row as intended, and
                  that is `last_ten`.
    """
    length = numbers.shape[1] - 1
    if label_rule == "released" and length < _RELEASED_DIGITS:
        return None
    first = 0 if label_rule == "paper" else length - N_DIGITS
    return np.take_along_axis(numbers, first + numbers[:, -1:].astype(np.int64), axis=1)[:, 0]


def generate(
    length: int, label_rule: str, n: int, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Examples of number prediction: recall the digit that the last input points to.

    Digits and index are uniform over 0 .. 9. A larger `n` continues the same rows.

    Args:
        length: L, the number of digits before the index, at least 10 (the paper: 10 and 20).
        label_rule: see `rule_labels`.
        n: N, the number of rows.
        seed: the same seed gives the same rows.
        split: "train", "dev" or "test".

    Returns numbers [N, L + 1] and labels [N], both int8. Raises `InputError` for a length or rule
    that does not exist.
    """
    _check(length, label_rule)
    if n < 1:
        raise InputError(f"expected at least one example of {split}, found {n}")
    random = random_of(seed, split)
    if label_rule == "released":
        rows = _digits(random, n, _RELEASED_DIGITS + 1)
        rows = np.append(rows, rule_labels(rows, "last_ten")[:, None], axis=1)
        return np.ascontiguousarray(rows[:, : length + 1]), rows[:, length + 1].copy()
    numbers = _digits(random, n, length + 1)
    return numbers, rule_labels(numbers, label_rule)


def _digits(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return random.integers(0, N_DIGITS, (rows, columns), np.int64).astype(np.int8)


def _check(length: int, label_rule: str) -> None:
    if label_rule not in LABEL_RULES:
        raise InputError(
            f"expected one of the label rules {', '.join(LABEL_RULES)}, found {label_rule!r}"
        )
    if length < N_DIGITS:
        raise InputError(
            f"expected a length of at least {N_DIGITS}, what an index can point to; found {length}"
        )
    if label_rule == "released" and length > _RELEASED_DIGITS:
        raise InputError(
            f"expected a length of at most {_RELEASED_DIGITS} with the released rule, found"
            f" {length}"
        )


def recall(
    n: int, length: int, seed: int, split: str, features: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Examples of the recall task: the target is the first component of the first input.

    The source (Mongia, recurrent networks with skip connections) does not state the distribution of
    the inputs: they are U(0, 1) here, so always predicting the mean has a squared error of 1/12.

    Returns sequences [N, length, features] and targets [N], both float32.
    """
    if min(n, length, features) < 1:
        raise InputError(
            f"expected n, length and features of at least 1, found {n}, {length} and {features}"
        )
    sequences = random_of(seed, split).random((n, length, features), np.float32)
    return sequences, sequences[:, 0, 0].copy()


def load(
    data_dir: str,
    length: int,
    label_rule: str = "paper",
    n_train: int = 100_000,
    n_dev: int = 10_000,
    n_test: int = 10_000,
    seed: int = 0,
) -> NumberData:
    """The three splits, read from files or, with `data_dir` empty, generated from the seed.

    Files are checked against `length` and `label_rule`; their sizes and seed are those given to
    `produce_data.py`. Raises `InputError` for a missing or broken file and for data of another
    task.
    """
    _check(length, label_rule)
    if data_dir:
        splits = [
            _read(pathlib.Path(data_dir, f"{split}.npz"), length, label_rule) for split in SPLITS
        ]
    else:
        sizes = (n_train, n_dev, n_test)
        splits = [
            Examples(*generate(length, label_rule, n, seed, split))
            for split, n in zip(SPLITS, sizes, strict=True)
        ]
    return NumberData(*splits, length=length, label_rule=label_rule)


def _read(path: pathlib.Path, length: int, label_rule: str) -> Examples:
    """One file of `produce_data.py`, checked."""
    produce = f"python NumberPrediction/produce_data.py --length {length} --label_rule {label_rule}"
    produce += f" --data_dir {shlex.quote(str(path.parent))}"
    if path.parent.is_file():
        raise InputError(f"{path.parent}: expected a folder, found a file; name the folder of it")
    if not path.is_file():
        if others := [one.name for one in sorted(path.parent.glob("*.npz"))]:
            produce += f", with the sizes and the seed of {' and '.join(others)}, or delete these"
        raise InputError(f"{path}: expected number data, found no file; run {produce}")
    try:
        file = read_npz(path)
        numbers, labels, settings = (
            file["numbers"],
            file["labels"],
            json.loads(str(file["settings"])),
        )
        found = settings["length"], settings["label_rule"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected number data, found a broken file ({error}); delete it and run"
            f" {produce}"
        ) from None
    if found != (length, label_rule):
        raise InputError(
            f"{path}: expected length {length} and label rule {label_rule}, found {found[0]} and"
            f" {found[1]}; give --length {found[0]} --label_rule {found[1]}, or another --data_dir"
            " and what produce_data.py writes there"
        )
    _check_arrays(path, numbers, labels, length, label_rule)
    return Examples(numbers.astype(np.int8), labels.astype(np.int8))


def _check_arrays(
    path: pathlib.Path, numbers: np.ndarray, labels: np.ndarray, length: int, label_rule: str
) -> None:
    n = len(labels) if labels.ndim else 0
    if n == 0 or numbers.shape != (n, length + 1) or labels.shape != (n,):
        raise InputError(
            f"{path}: expected numbers [N, {length + 1}] and labels [N], found"
            f" {list(numbers.shape)} and {list(labels.shape)}; make the file anew"
        )
    for name, array in (("numbers", numbers), ("labels", labels)):
        if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() >= N_DIGITS:
            raise InputError(
                f"{path}: expected digits 0 to 9 in {name}, found {array.dtype} from {array.min()}"
                f" to {array.max()}; make the file anew"
            )
    expected = rule_labels(numbers, label_rule)
    if expected is not None and (wrong := np.flatnonzero(expected != labels)).size:
        row = wrong[0]
        raise InputError(
            f"{path}: the rule {label_rule} gives row {row} the label {expected[row]}, found"
            f" {labels[row]}; make the file anew"
        )
