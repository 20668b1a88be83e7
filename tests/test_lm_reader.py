"""Reading text for the language models, and batching it, against brute force."""

import collections
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from LanguageModeling.reader import load, load_split, padded_streams, streams

TRAIN, VALID, TEST = " the cat sat \n the <unk> ran \n", " the dog ran \n", " a cat \n sat \n"


def write(folder, prefix="ptb.", **texts):
    folder.mkdir(exist_ok=True)
    for split, text in ({"train": TRAIN, "valid": VALID, "test": TEST} | texts).items():
        if text is not None:
            (folder / f"{prefix}{split}.txt").write_bytes(text.encode())
    return str(folder)


@pytest.mark.parametrize(("prefix", "name"), [("ptb.", "ptb"), ("", "mine")])
def test_load(tmp_path, prefix, name):
    corpus = load(write(tmp_path / "mine", prefix))
    assert corpus.name == name
    assert corpus.vocabulary.words == ("<eos>", "the", "<unk>", "cat", "ran", "sat")
    assert corpus.train.tolist() == [1, 3, 5, 0, 1, 2, 4, 0] and corpus.train.dtype == np.int32
    assert corpus.vocabulary.decode(corpus.valid) == ["the", "<unk>", "ran", "<eos>"]
    assert corpus.vocabulary.decode(corpus.test) == ["<unk>", "cat", "<eos>", "sat", "<eos>"]


def test_unknown_word_without_unk(tmp_path):
    folder = write(tmp_path, train="the cat\nsat\n", valid="the cat\n", test="the cat\nthe dog\n")
    with pytest.raises(InputError, match=r"ptb\.test\.txt:2: the word 'dog'"):
        load(folder)


def archive(folder, texts, prefix="./"):
    with tarfile.open(folder / "simple-examples.tgz", "w:gz") as tar:
        for split, text in texts.items():
            member = tarfile.TarInfo(f"{prefix}simple-examples/data/ptb.{split}.txt")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return str(folder)


@pytest.mark.parametrize("prefix", ["./", ""])
def test_archive_as_distributed(tmp_path, prefix):
    from_archive = load(archive(tmp_path, {"train": TRAIN, "valid": VALID, "test": TEST}, prefix))
    from_files = load(write(tmp_path / "files"))
    assert from_archive.name == from_files.name and from_archive.vocabulary == from_files.vocabulary
    for split in ("train", "valid", "test"):
        assert np.array_equal(getattr(from_archive, split), getattr(from_files, split))


def test_bad_archives(tmp_path):
    with pytest.raises(InputError, match="found 2 of them"):
        load(archive(tmp_path, {"train": TRAIN, "valid": VALID}))
    data = (tmp_path / "simple-examples.tgz").read_bytes()
    for broken in (b"", b"nothing", data[:3], data[: len(data) // 2]):
        (tmp_path / "simple-examples.tgz").write_bytes(broken)
        with pytest.raises(InputError, match="whole tar archive"):
            load(str(tmp_path))


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"check --data_dir.*simple-examples\.tgz"):
        load(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"found neither; get .*simple-examples\.tgz"):
        load(str(tmp_path))
    for prefix in ("", "ptb."):
        with pytest.raises(
            InputError, match=f"found no {prefix}valid.txt and no {prefix}test.txt;"
        ):
            load(write(tmp_path / f"{prefix}x", prefix, valid=None, test=None))


def test_empty_file(tmp_path):
    with pytest.raises(InputError, match=r"ptb\.valid\.txt.*empty"):
        load(write(tmp_path, valid=""))


def test_generated_corpus():
    corpus = load("")
    assert corpus.name == "generated"
    assert 90_000 < len(corpus.train) < 150_000 and 9_000 < len(corpus.valid) < 15_000 < 2 * len(
        corpus.test
    )
    assert 200 < len(corpus.vocabulary) < 500 and "<unk>" not in corpus.vocabulary
    assert (corpus.train == corpus.vocabulary.ids["<eos>"]).sum() == 10_000
    assert not np.array_equal(corpus.valid[:500], corpus.test[:500])
    assert np.array_equal(corpus.train, load("").train)


def test_a_split_by_the_ids_of_another_text(tmp_path):
    words = load(write(tmp_path / "one")).vocabulary
    folder = write(tmp_path / "two", train="sat sat sat dog\n", valid="the dog ran\n")
    assert words.decode(load_split(folder, "valid", words)) == ["the", "<unk>", "ran", "<eos>"]
    assert np.array_equal(load_split("", "test", load("").vocabulary), load("").test)


def test_ptb(data_dir):
    folder = data_dir / "ptb"
    if not (folder / "ptb.train.txt").is_file():
        pytest.skip(
            f"no {folder}/ptb.train.txt: DYNAMIC_SKIP_DATA=FOLDER python -m pytest --last-skipped"
        )
    corpus = load(str(folder))
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (929_589, 73_760, 82_430)
    assert len(corpus.vocabulary) == 10_000 and corpus.vocabulary.words[:3] == (
        "the",
        "<unk>",
        "<eos>",
    )
    text = (folder / "ptb.test.txt").read_text().replace("\n", "<eos>").split()
    assert corpus.vocabulary.decode(corpus.test) == text
    inputs, _ = streams(corpus.test, 20, 35)
    assert inputs.size == 81_900  # what the release scores of them
    assert padded_streams(corpus.test, 20, 35)[2].sum() == 82_429


@given(st.integers(0, 120), st.integers(1, 6), st.integers(1, 9))
def test_streams_by_brute_force(n, batch_size, n_steps):
    tokens = np.arange(100, 100 + n, dtype=np.int32)
    length = n // batch_size
    starts = range(0, length - n_steps, n_steps)  # a window needs one token more than its inputs
    if not len(starts):
        with pytest.raises(InputError, match=f"= {batch_size * (n_steps + 1)} tokens, found {n};"):
            streams(tokens, batch_size, n_steps)
        return
    inputs, targets = streams(tokens, batch_size, n_steps)
    assert inputs.shape == targets.shape == (len(starts), batch_size, n_steps)
    assert inputs.dtype == targets.dtype == np.int32
    for window, start in enumerate(starts):
        for b in range(batch_size):
            for t in range(n_steps):
                assert inputs[window, b, t] == tokens[b * length + start + t]
                assert targets[window, b, t] == tokens[b * length + start + t + 1]


@given(st.integers(0, 120), st.integers(1, 6), st.integers(1, 9))
def test_padded_streams_by_brute_force(n, batch_size, n_steps):
    tokens = np.arange(100, 100 + n, dtype=np.int32)
    if n - 1 < batch_size:
        with pytest.raises(InputError, match=f"= {batch_size + 1} tokens, found {n};"):
            padded_streams(tokens, batch_size, n_steps)
        return
    inputs, targets, weights = padded_streams(tokens, batch_size, n_steps)
    assert inputs.shape == targets.shape == weights.shape == (len(inputs), batch_size, n_steps)
    assert (inputs.dtype, targets.dtype, weights.dtype) == (np.int32, np.int32, np.float32)
    scored, lengths = [], []
    for b in range(batch_size):
        stream = [
            (int(inputs[w, b, t]), int(targets[w, b, t]), float(weights[w, b, t]))
            for w in range(len(inputs))
            for t in range(n_steps)
        ]
        real = [step for step in stream if step[2] == 1]
        assert stream[: len(real)] == real  # contiguous: padding only at the end
        assert all(step == (0, 0, 0.0) for step in stream[len(real) :])
        assert all(before + 1 == after for before, after, _ in real)
        scored += [after for _, after, _ in real]
        lengths.append(len(real))
    assert scored == tokens[1:].tolist()  # each once, in order
    assert max(lengths) - min(lengths) <= 1
    assert len(inputs) == -(-max(lengths) // n_steps)  # no window of padding only


def test_one_stream_is_the_text():
    tokens = np.array([4, 5, 6, 7, 8, 9], np.int32)
    inputs, targets, weights = padded_streams(tokens, 1, 3)
    assert inputs.tolist() == [[[4, 5, 6]], [[7, 8, 0]]]
    assert targets.tolist() == [[[5, 6, 7]], [[8, 9, 0]]]
    assert weights.tolist() == [[[1, 1, 1]], [[1, 1, 0]]]


@pytest.mark.parametrize("read", [streams, padded_streams])
def test_sizes_of_at_least_one(read):
    for sizes in ((0, 3), (3, 0), (-1, 3)):
        with pytest.raises(InputError, match="at least 1"):
            read(np.arange(50), *sizes)


def test_vocabulary_order_is_by_count(tmp_path):
    corpus = load(write(tmp_path, train="b b a a c\n", valid="a\n", test="a\n"))
    counts = collections.Counter(corpus.vocabulary.decode(corpus.train))
    assert corpus.vocabulary.words == tuple(sorted(counts, key=lambda word: (-counts[word], word)))
