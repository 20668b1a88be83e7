"""common/training/checkpoint.py and common/files.py: atomic, whole, the newest good one."""

import os

import numpy as np
import pytest

from common import files
from common.errors import InputError
from common.files import atomic_write, read_npz
from common.training import checkpoint

ARRAYS = {
    "layer/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([1.5, -2], np.float16),
    "step": np.array(7, np.int64),
    "file": np.array([], np.float32),  # a name that numpy.savez takes for its own argument
    "mask": np.array([True, False]),
    "names": np.array(["a", "bc"]),
}
META = {"epoch": 3, "best": 82.5, "worst": float("inf"), "history": [1, 2.25], "none": None}


def names(folder):
    return sorted(os.listdir(folder))


def test_round_trip(tmp_path):
    path = checkpoint.save(tmp_path / "new" / "folder", 12, ARRAYS, META)
    assert path.name == "checkpoint-12.npz"
    step, arrays, meta = checkpoint.load(path)
    assert step == 12 and meta == META and list(arrays) == list(ARRAYS)
    for key, array in ARRAYS.items():
        assert arrays[key].dtype == array.dtype and arrays[key].shape == array.shape
        np.testing.assert_array_equal(arrays[key], array)


def test_same_content_same_bytes(tmp_path):
    first = checkpoint.save(tmp_path / "a", 1, ARRAYS, META).read_bytes()
    assert checkpoint.save(tmp_path / "b", 1, ARRAYS, META).read_bytes() == first


def test_numpy_reads_it(tmp_path):
    path = checkpoint.save(tmp_path, 1, ARRAYS)
    with np.load(path, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["array/layer/kernel"], ARRAYS["layer/kernel"])


def test_the_newest_two_stay_and_named_ones_are_not_counted(tmp_path):
    checkpoint.save(tmp_path, 5, ARRAYS, name="best")
    for step in (8, 9, 10, 11):
        checkpoint.save(tmp_path, step, ARRAYS)
    assert names(tmp_path) == ["best.npz", "checkpoint-10.npz", "checkpoint-11.npz"]
    assert checkpoint.load_latest(tmp_path)[0] == 11
    assert checkpoint.load(tmp_path / "best.npz")[0] == 5


def test_every_flipped_bit_is_noticed(tmp_path):
    path = checkpoint.save(tmp_path, 1, {"w": np.array([1.0], np.float32)}, {"epoch": 1})
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1 :])
        with pytest.raises(InputError):
            checkpoint.load(path)
    path.write_bytes(good)
    assert checkpoint.load(path)[0] == 1


def test_every_truncation_is_noticed(tmp_path):
    path = checkpoint.save(tmp_path, 1, {"w": np.array([1.0], np.float32)})
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(InputError):
            checkpoint.load(path)
    path.write_bytes(good + b"x")
    with pytest.raises(InputError):
        checkpoint.load(path)


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, capsys):
    checkpoint.save(tmp_path, 1, {"w": np.array(1)})
    newest = checkpoint.save(tmp_path, 2, {"w": np.array(2)})
    newest.write_bytes(newest.read_bytes()[:-100])
    step, arrays, _ = checkpoint.load_latest(tmp_path)
    assert (step, arrays["w"]) == (1, 1)
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "checkpoint-2.npz" in line
    # The resumed run saves in between: its own two stay, the damaged one goes, the good one is not
    # the victim.
    checkpoint.save(tmp_path, 1, {"w": np.array(1)})
    assert names(tmp_path) == ["checkpoint-1.npz"]


def test_a_damaged_one_alone(tmp_path, capsys):
    checkpoint.save(tmp_path, 1, ARRAYS).write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="no usable checkpoint among the 1 in"):
        checkpoint.load_latest(tmp_path)
    assert "the one before" not in capsys.readouterr().err


def test_all_damaged(tmp_path, capsys):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, ARRAYS).write_bytes(b"PK\x03\x04")
        (tmp_path / f"checkpoint-{step}.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="no usable checkpoint among the 2 in .* delete them"):
        checkpoint.load_latest(tmp_path)
    assert capsys.readouterr().err.count("\n") == 2


def test_none_there(tmp_path):
    assert checkpoint.load_latest(tmp_path) is None
    assert checkpoint.load_latest(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no checkpoint at .*a.npz: expected a file that training wrote"),
        (b"", "expected a checkpoint, found another kind of file: .*a.npz"),
        (b"text\n" * 50, "expected a checkpoint, found another kind of file: .*a.npz"),
        (b"PK\x03\x04" + b"x" * 200, "damaged or unfinished checkpoint .*a.npz"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=message):
        checkpoint.load(tmp_path / "a.npz")


def test_a_folder_and_a_foreign_npz(tmp_path):
    with pytest.raises(InputError, match="found a folder"):
        checkpoint.load(tmp_path)
    np.savez(tmp_path / "a.npz", w=np.zeros(3))
    with pytest.raises(InputError):
        checkpoint.load(tmp_path / "a.npz")


def test_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="'w' of type object"):
        checkpoint.save(tmp_path, 1, {"w": np.array([None])})
    assert names(tmp_path) == []


def test_left_over_temporary_files_go(tmp_path):
    (tmp_path / ".checkpoint-3.npz.123.tmp").write_bytes(b"half")
    checkpoint.save(tmp_path, 4, ARRAYS)
    assert names(tmp_path) == ["checkpoint-4.npz"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_half_way_leaves_the_old_files(tmp_path, monkeypatch, error):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, ARRAYS)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def savez(file, **arrays):
        file.write(b"half of it")
        raise error

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(type(error)):
        checkpoint.save(tmp_path, 3, ARRAYS)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_atomic_write(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "old é")
    assert path.read_bytes() == "old é".encode()

    def half(file):
        file.write(b"new")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        atomic_write(path, half)
    assert path.read_bytes() == "old é".encode() and names(tmp_path) == ["a.txt"]
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new" and names(tmp_path) == ["a.txt"]
    atomic_write(path, lambda file: file.write(b"newer"))
    assert path.read_bytes() == b"newer"


@pytest.mark.skipif(os.name == "nt", reason="links, pipes and permissions are others there")
def test_atomic_write_of_what_is_no_plain_file(tmp_path):
    """A link stays one, permissions stay, a pipe is written to; so /dev/null is not replaced."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_text("old")
    (tmp_path / "far" / "a").chmod(0o600)
    (tmp_path / "link").symlink_to(os.path.join("far", "a"))
    atomic_write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "a").read_text() == "new"
    assert (tmp_path / "far" / "a").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["far", "link"] and names(tmp_path / "far") == ["a"]
    os.mkfifo(tmp_path / "pipe")
    for content in (b"bytes", "text", lambda file: file.write(b"bytes")):
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        atomic_write(tmp_path / "pipe", content)
        assert os.read(reader, 9) in (b"bytes", b"text")
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo() and names(tmp_path) == ["far", "link", "pipe"]


def test_what_can_be_written_is_what_the_name_leads_to(tmp_path, monkeypatch):
    """A link's target, and a device itself: neither is made beside what is there."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "mine" / "to_theirs").symlink_to(tmp_path / "theirs" / "file")
    (tmp_path / "theirs" / "to_mine").symlink_to(tmp_path / "mine" / "file")
    refused = str(tmp_path / "theirs"), "/dev"
    monkeypatch.setattr(files.os, "access", lambda path, mode: str(path) not in refused)
    files.check_writable(tmp_path / "theirs" / "to_mine")
    files.check_writable("/dev/null")
    with pytest.raises(InputError, match="theirs: expected a folder to write to"):
        files.check_writable(tmp_path / "mine" / "to_theirs")


def test_atomic_write_names_the_file_that_could_not_be_written(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        atomic_write(tmp_path / "nowhere" / "a", b"x")
    assert error.value.filename == str(tmp_path / "nowhere" / "a")


def test_atomic_write_reaches_the_disk_before_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    atomic_write(tmp_path / "a", b"x")
    assert calls == ["fsync", "replace", "fsync"]


def test_a_name_as_long_as_names_may_be(tmp_path):
    for name in ("x" * 255, "\N{SNOWMAN}" * 85):
        atomic_write(tmp_path / name, "a")
        assert (tmp_path / name).read_text() == "a"


def test_an_array_without_a_name_is_told(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(2))
    with pytest.raises(ValueError, match="one array without a name, an .npy"):
        read_npz(tmp_path / "a.npy")
