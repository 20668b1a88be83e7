"""The CoNLL-2003 reader: schemes, counts, bad lines, and arrays."""

import numpy as np
import pytest

from common.data import bucketing
from common.errors import InputError
from NER.presets import NERConfig
from NER.reader import FILE_NAMES, Encoder, Sentence, entity_types, load, normalise, read_conll
from NER.span_f1 import spans

IOB1 = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
John NNP I-NP B-PER

-DOCSTART- -X- -X- O
1996-08-22 CD I-NP O
New NNP I-NP I-LOC
York NNP I-NP I-LOC
Times NNP I-NP I-ORG
"""
BIO = ["B-ORG O B-PER I-PER B-PER", "O B-LOC I-LOC B-ORG"]
BIOES = ["S-ORG O B-PER E-PER S-PER", "O B-LOC E-LOC S-ORG"]


@pytest.mark.parametrize(("scheme", "expected"), [("BIO", BIO), ("BIOES", BIOES)])
def test_tags_are_converted(tmp_path, scheme, expected):
    path = tmp_path / "eng.train"
    path.write_text(IOB1)
    sentences = read_conll(path, scheme)
    assert [" ".join(sentence.tags) for sentence in sentences] == expected
    assert sentences[1].words == ["1996-08-22", "New", "York", "Times"]
    # What is written in any scheme, with tabs, without a blank line at the end, reads the same.
    for tags in (BIO, BIOES):
        rows = zip([w for s in sentences for w in s.words], " ".join(tags).split(), strict=True)
        lines = [f"{word}\tX\tX\t{tag}\n" for word, tag in rows]
        path.write_text("".join(lines[:5]) + "\n\r\n" + "".join(lines[5:]).rstrip())
        assert read_conll(path, scheme) == sentences


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("EU NNP I-ORG", r"eng\.train:3: expected 4 columns .* found 3; "),
        ("EU NNP I-NP I-ORG O", r":3: expected 4 columns .* found 5; "),
        ("EU NNP I-NP ORG", r":3: expected an entity tag .* found 'ORG'; "),
        ("EU NNP I-NP I-", r":3: expected an entity tag .* found 'I-'; "),
        ("EU NNP I-NP OO", r":3: expected an entity tag .* found 'OO'; "),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    (tmp_path / "eng.train").write_text(f"A B C O\n\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_conll(tmp_path / "eng.train")


def test_files_that_are_not_there_or_hold_nothing(tmp_path):
    with pytest.raises(
        InputError, match="expected eng.train eng.testa eng.testb or train.txt .* found neither"
    ):
        load(tmp_path)
    (tmp_path / "eng.train").write_text("-DOCSTART- -X- O O\n\n")
    with pytest.raises(InputError, match="expected sentences, found none"):
        load(tmp_path)
    (tmp_path / "eng.train").write_text(IOB1)
    with pytest.raises(InputError, match="eng.testa: expected a text file, found nothing"):
        load(tmp_path)


def test_both_sets_of_file_names(tmp_path):
    (tmp_path / "conll2003").mkdir()
    for name in ("train.txt", "valid.txt", "test.txt"):
        (tmp_path / "conll2003" / name).write_text(IOB1)
    assert (
        [len(part) for part in load(tmp_path)]
        == [len(part) for part in load(tmp_path / "conll2003")]
        == [2, 2, 2]
    )


def test_counts_of_the_distributed_files(data_dir):
    corpus = load(data_dir)
    assert [len(part) for part in corpus] == [14041, 3250, 3453]
    assert [sum(len(s.words) for s in part) for part in corpus] == [203621, 51362, 46435]
    assert [sum(len(spans(s.tags)) for s in part) for part in corpus] == [23499, 5942, 5648]
    assert entity_types(corpus.train) == ("LOC", "MISC", "ORG", "PER")
    encoder = Encoder.build(corpus.train)
    arrays = encoder.encode(corpus.dev)
    assert encoder.decode_tags(arrays.tags, arrays.lengths) == [list(s.tags) for s in corpus.dev]
    known = arrays.words[np.arange(arrays.words.shape[1]) < arrays.lengths[:, None]] != 1
    assert known.mean() > 0.85


def test_little_of_the_distributed_files_is_padded(data_dir):
    config = NERConfig()
    lengths = [len(sentence.words) for sentence in load(data_dir).train]
    buckets = bucketing.bucket_lengths(lengths, config.n_buckets)
    epoch = bucketing.batches(lengths, config.batch_size, 0, 0, buckets)
    assert sum(lengths) > 0.9 * sum(len(batch.indices) * batch.length for batch in epoch)


def test_generated_corpus():
    corpus = load()
    assert load() == corpus
    assert all(len(part) >= 100 for part in corpus)
    assert all(len(s.words) == len(s.tags) > 0 for part in corpus for s in part)
    assert {tag[0] for s in corpus.train for tag in s.tags} >= set("OBE")
    assert entity_types(corpus.dev) == entity_types(corpus.train)


TRAIN = [
    Sentence(["Anna", "saw", "Oslo", "saw"], ["S-PER", "O", "S-LOC", "O"]),
    Sentence(["anna"], ["S-PER"]),
]


def test_encoder_by_hand():
    encoder = Encoder.build(TRAIN, extra_words=["7th"], max_chars=3)
    # "oslo", seen once, stands for the unknown
    assert encoder.words.words == ("<pad>", "<unk>", "anna", "saw", "0th")
    assert encoder.tags == ("O", *(f"{p}-{kind}" for kind in ("LOC", "PER") for p in "BIES"))
    arrays = encoder.encode(
        [Sentence(["8th", "Saw", "Zoë"], ["O", "O", "E-PER"]), Sentence(["Anna"])], length=4
    )
    assert arrays.words.tolist() == [[4, 3, 1, 0], [2, 0, 0, 0]]
    assert arrays.tags.tolist() == [[0, 0, encoder.tags.index("E-PER"), 0], [0, 0, 0, 0]]
    assert arrays.lengths.tolist() == [3, 1]
    assert arrays.chars.shape == (2, 4, 3) and {a.dtype for a in arrays} == {np.dtype("int32")}
    # characters keep their case; cut to three
    assert encoder.chars.decode(arrays.chars[1, 0]) == ["A", "n", "n"]
    # "Z", "ë" are not in training
    assert encoder.chars.decode(arrays.chars[0, 2]) == ["<unk>", "o", "<unk>"]
    assert not arrays.chars[1, 1:].any()


def test_short_words_are_padded_and_bio_has_two_tags_a_type():
    encoder = Encoder.build([Sentence(["a"], ["B-X"])], min_count=1, scheme="BIO", max_chars=4)
    assert encoder.tags == ("O", "B-X", "I-X")
    assert encoder.encode([Sentence(["a"])]).chars.tolist() == [[[2, 0, 0, 0]]]


def test_a_type_that_training_lacks_is_encoded_as_outside():
    arrays = Encoder.build(TRAIN).encode([Sentence(["x", "y"], ["S-MISC", "S-PER"])])
    assert arrays.tags[0, 0] == 0 != arrays.tags[0, 1]


def test_sentences_that_do_not_fit():
    encoder = Encoder.build(TRAIN)
    with pytest.raises(InputError, match="expected sentences of 1 to 2 words, found 1 to 4"):
        encoder.encode(TRAIN, length=2)
    with pytest.raises(InputError, match="found 0 to 1"):
        encoder.encode([Sentence([]), Sentence(["a"])])


def test_encoder_saves_and_loads(tmp_path):
    encoder = Encoder.build(TRAIN, extra_words=["größe"], lower=False, max_chars=7)
    encoder.save(tmp_path / "encoder.json")
    assert Encoder.load(tmp_path / "encoder.json") == encoder
    for content in ("{}", "[1]", "no", '{"words": [], "chars": [], "tags": [], "other": 1}'):
        (tmp_path / "encoder.json").write_text(content)
        with pytest.raises(InputError, match="expected what Encoder.save wrote"):
            Encoder.load(tmp_path / "encoder.json")


def test_normalise():
    assert normalise("Boeing-747") == "boeing-000"
    assert normalise("Boeing-747", lower=False, zero_digits=False) == "Boeing-747"


@pytest.mark.parametrize("first", [0, 1])
def test_columns_are_not_taken_on_trust(first, tmp_path):
    """GermEval has index, word, outer and inner tag; others have the kinds of phrase last, or no
    entity at all.
    """
    counted = "".join(
        f"{i}\t{word}\tO\tO\n" for i, word in enumerate(["Anna", "left", "Rome"], first)
    )
    (tmp_path / "a").write_text(counted + "\n" + counted.splitlines()[0] + "\n")
    with pytest.raises(
        InputError,
        match=(
            rf"a: expected the word in column 1, found {first}, {first + 1}, \.\.\. in every"
            r" sentence; write"
        ),
    ):
        read_conll(tmp_path / "a")
    (tmp_path / "a").write_text(counted + "\nRome NNP B-NP I-LOC\n")
    assert [len(sentence.words) for sentence in read_conll(tmp_path / "a")] == [3, 1]
    # sentences of one word may be numbers
    (tmp_path / "a").write_text("1 CD B-NP O\n\n1 CD B-NP O\n")
    assert len(read_conll(tmp_path / "a")) == 2


def test_a_file_without_blank_lines_is_noticed(tmp_path, capsys):
    for n, said in (
        (1000, ""),
        (
            1001,
            (
                f"warning: {tmp_path / 'a'}: a sentence has 1,001 words: is there a blank line"
                " between the "
            ),
        ),
    ):
        (tmp_path / "a").write_text("Rome NNP B-NP I-LOC\n" * n)
        assert len(read_conll(tmp_path / "a")) == 1 and capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    "tags, found", [("O O O", "the tag O alone"), ("I-NP B-VP I-NP", r"kinds of phrase \(NP, VP\)")]
)
def test_training_without_an_entity_is_refused(tags, found, tmp_path):
    for name in FILE_NAMES[0]:
        (tmp_path / name).write_text("".join(f"w NN B-NP {tag}\n" for tag in tags.split()))
    with pytest.raises(
        InputError,
        match=(
            rf"eng\.train: expected entity tags such as I-PER in column 4, found {found}; write the"
            r" columns"
        ),
    ):
        load(tmp_path)
    (tmp_path / "eng.train").write_text("Rome NNP B-NP I-LOC\n")
    assert len(load(tmp_path).dev) == 1  # what is tagged need not have any
