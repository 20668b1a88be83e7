"""The rules of number prediction by hand and by brute force; the files and their checks."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from common.errors import InputError
from NumberPrediction import produce_data, reader
from NumberPrediction.reader import generate, load, recall, rule_labels


def test_the_example_of_the_paper():
    assert rule_labels(np.array([[8, 5, 1, 7, 4, 3]]), "paper").tolist() == [7]


@pytest.mark.parametrize("length", [10, 20, 37, 100])
@pytest.mark.parametrize("rule", ["paper", "last_ten"])
def test_rules_by_brute_force(length, rule):
    numbers, labels = generate(length, rule, 300, seed=1, split="train")
    assert numbers.shape == (300, length + 1) and numbers.dtype == labels.dtype == np.int8
    for row, label in zip(numbers.tolist(), labels.tolist(), strict=True):
        digits, index = row[:length], row[length]
        assert label == (digits[index] if rule == "paper" else digits[-10:][index])
    assert set(numbers[:, -1].tolist()) == set(range(10))


def test_the_two_rules_differ_beyond_ten_digits():
    for length, share in ((10, 1.0), (20, 0.1)):
        numbers, labels = generate(length, "paper", 5000, 0, "dev")
        assert np.mean(rule_labels(numbers, "last_ten") == labels) == pytest.approx(share, abs=0.02)


def test_the_released_rows():
    """The rows of the release are 100 digits, index, label; its trainer reads twelve columns of
    them.
    """
    numbers, labels = generate(100, "released", 2000, 0, "train")
    assert [row[90 + row[100]] for row in numbers.tolist()] == labels.tolist()
    for length in (10, 20, 99):
        part, next_digit = generate(length, "released", 2000, 0, "train")
        assert np.array_equal(part, numbers[:, : length + 1]) and np.array_equal(
            next_digit, numbers[:, length + 1]
        )


def test_released_labels_are_noise():
    numbers, labels = generate(10, "released", 40_000, 0, "test")
    assert rule_labels(numbers, "released") is None
    assert np.mean(rule_labels(numbers, "paper") == labels) == pytest.approx(0.1, abs=0.01)
    # no input tells anything: every digit pair is about as frequent as every other
    for column in range(11):
        counts = np.bincount(10 * numbers[:, column].astype(int) + labels, minlength=100)
        assert np.all(np.abs(counts - 400) < 6 * 20)


def test_digits_are_uniform_and_splits_differ():
    rows = {split: generate(10, "paper", 20_000, 0, split)[0] for split in reader.SPLITS}
    for numbers in rows.values():
        for column in numbers.T:
            assert np.all(np.abs(np.bincount(column, minlength=10) - 2000) < 6 * 45)
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert np.mean(rows[one] == rows[other]) == pytest.approx(0.1, abs=0.01)
    assert np.mean(rows["train"] == generate(10, "paper", 20_000, 1, "train")[0]) == pytest.approx(
        0.1, abs=0.01
    )


@pytest.mark.parametrize("rule", reader.LABEL_RULES)
def test_more_rows_continue_the_same_rows(rule):
    few, many = generate(20, rule, 50, 3, "test"), generate(20, rule, 500, 3, "test")
    assert np.array_equal(few[0], many[0][:50]) and np.array_equal(few[1], many[1][:50])


def test_the_numbers_of_a_seed_stay():
    """A change of the generator would change every published result: it has to be noticed."""
    numbers, labels = generate(10, "paper", 2, 0, "train")
    assert (numbers.tolist(), labels.tolist()) == FIRST_ROWS


FIRST_ROWS = ([[8, 6, 5, 2, 3, 0, 0, 0, 1, 8, 6], [9, 5, 6, 9, 7, 6, 5, 5, 9, 2, 8]], [0, 9])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, "paper", 1, 0, "train"), "at least 10"),
        ((10, "wrong", 1, 0, "train"), "paper, last_ten, released"),
        ((101, "released", 1, 0, "train"), "at most 100"),
        ((10, "paper", 0, 0, "train"), "at least one example"),
        ((10, "paper", 1, -1, "train"), "seed"),
        ((10, "paper", 1, 0, "valid"), "train, dev, test"),
    ],
)
def test_generate_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        generate(*arguments)


def test_recall():
    sequences, targets = recall(4000, 7, 0, "train")
    assert sequences.shape == (4000, 7, 6) and sequences.dtype == targets.dtype == np.float32
    assert np.array_equal(targets, sequences[:, 0, 0])
    assert sequences.min() >= 0 and sequences.max() < 1
    assert np.var(targets) == pytest.approx(1 / 12, rel=0.05)
    assert np.array_equal(recall(10, 7, 0, "train")[0], sequences[:10])
    assert not np.array_equal(recall(10, 7, 0, "test")[0], sequences[:10])
    with pytest.raises(InputError, match="at least 1"):
        recall(1, 0, 0, "train")


def small(folder, **changes):
    return produce_data.ProduceConfig(
        **{"data_dir": str(folder), "n_train": 30, "n_dev": 20, "n_test": 10} | changes
    )


@pytest.mark.parametrize(
    ("length", "rule"), [(10, "paper"), (20, "last_ten"), (10, "released"), (100, "released")]
)
def test_files_and_memory_agree(tmp_path, length, rule):
    produce_data.produce(small(tmp_path, length=length, label_rule=rule, seed=5))
    read = load(str(tmp_path), length, rule)
    made = load("", length, rule, n_train=30, n_dev=20, n_test=10, seed=5)
    assert (read.length, read.label_rule) == (made.length, made.label_rule) == (length, rule)
    for split in reader.SPLITS:
        one, other = getattr(read, split), getattr(made, split)
        assert np.array_equal(one.numbers, other.numbers) and np.array_equal(
            one.labels, other.labels
        )
        assert (
            one.numbers.dtype
            == other.numbers.dtype
            == one.labels.dtype
            == other.labels.dtype
            == np.int8
        )


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        produce_data.produce(small(tmp_path / name))
    for split in reader.SPLITS:
        path = tmp_path / "one" / f"{split}.npz"
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        with zipfile.ZipFile(path) as file:  # no clock in the file
            assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_other_data_are_not_replaced(tmp_path):
    """Nothing is written; what would be written as it is may be there."""
    produce_data.produce(small(tmp_path))
    (tmp_path / "train.npz").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"dev\.npz: .*found another; name another --data_dir"):
        produce_data.produce(small(tmp_path, seed=1))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    produce_data.produce(small(tmp_path))
    assert before.items() < {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items()


def rewrite(folder, **changes):
    path = folder / "dev.npz"
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "broken file.*labels"),
        ({"settings": np.array("no json")}, "broken file"),
        ({"settings": np.array("[]")}, "broken file"),
        ({"settings": np.array({"a": 1}, dtype=object)}, "broken file"),  # a pickle
        ({"labels": np.zeros(19, np.int8)}, r"expected numbers \[N, 11\]"),
        ({"labels": np.int8(0)}, r"expected numbers \[N, 11\]"),
        ({"numbers": np.zeros((20, 10), np.int8)}, r"expected numbers \[N, 11\]"),
        (
            {"numbers": np.zeros((0, 11), np.int8), "labels": np.zeros(0, np.int8)},
            r"expected numbers \[N, 11\]",
        ),
        ({"numbers": np.full((20, 11), 10)}, "digits 0 to 9 in numbers"),
        ({"numbers": np.full((20, 11), -1)}, "digits 0 to 9 in numbers"),
        ({"labels": np.zeros(20)}, "digits 0 to 9 in labels, found float64"),
        (
            {"numbers": np.zeros((20, 11), np.int8), "labels": np.eye(20, dtype=int)[3]},
            "row 3 the label 0, found 1",
        ),
    ],
)
def test_bad_files(tmp_path, changes, message):
    produce_data.produce(small(tmp_path))
    rewrite(tmp_path, **changes)
    with pytest.raises(InputError, match=r"dev\.npz: .*" + message):
        load(str(tmp_path), 10)


def test_missing_truncated_and_other_data(tmp_path):
    with pytest.raises(
        InputError, match="produce_data.py --length 10 --label_rule paper --data_dir"
    ):
        load(str(tmp_path), 10)
    produce_data.produce(small(tmp_path))
    with pytest.raises(
        InputError, match="expected length 20 and label rule paper, found 10 and paper"
    ):
        load(str(tmp_path), 20)
    with pytest.raises(
        InputError, match="expected length 10 and label rule released, found 10 and paper"
    ):
        load(str(tmp_path), 10, "released")
    path = tmp_path / "test.npz"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(InputError, match="with the sizes and the seed of dev.npz and train.npz"):
        load(str(tmp_path), 10)
    for data in (content[:100], b"", b"\x80\x04K\x01."):
        path.write_bytes(data)
        with pytest.raises(InputError, match="test.npz: .*broken file"):
            load(str(tmp_path), 10)


def script(root, folder, *flags):
    command = [sys.executable, str(root / "NumberPrediction" / "produce_data.py"), *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_script_from_another_folder(root, tmp_path):
    done = script(
        root,
        tmp_path,
        "--length=20",
        "--n_train=30",
        "--n_dev=20",
        "--n_test=10",
        "--label_rule=last_ten",
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "data" / "numbers-20-last_ten"
    assert sorted(path.name for path in folder.iterdir()) == ["dev.npz", "test.npz", "train.npz"]
    assert len(load(str(folder), 20, "last_ten").train.labels) == 30
    assert "30 examples of 21 inputs" in done.stdout and "tensorflow" not in done.stderr.lower()


def test_script_refuses(root, tmp_path):
    for flags in (["--length=9"], ["--length=120", "--label_rule=released"]):
        done = script(root, tmp_path, *flags)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        with pytest.raises(InputError, match="a file in its way"):
            produce_data.produce(small(tmp_path / folder))
