"""Bad input to every entrypoint ends with one line that says what was expected, and status 2; what
was there before stays as it was.
"""

import io
import json
import pathlib
import re
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import tiny_runs
from helpers.marks import LONG

from common.training import checkpoint

ROOT = pathlib.Path(__file__).resolve().parent.parent
LM, NP, NER, SENT = "LanguageModeling", "NumberPrediction", "NER", "Sentiment"


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a folder that matters to a run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def other_network(path):
    checkpoint.save(
        path.parent, 3, {"variable/0/kernel": np.zeros([7, 7], np.float32)}, {}, path.stem
    )


def damage_all_checkpoints(run_dir):
    (run_dir / "result.json").unlink()
    for path in (run_dir / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-100])


def copy(folder, name, source, change):
    made = folder / name
    shutil.copytree(source, made)
    change(made)
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with good data and finished runs of all tasks, and with everything that can be wrong
    with them.
    """
    folder = tmp_path_factory.mktemp("place")
    tiny_runs.write_texts(folder / "data")
    for task in (LM, NP, NER, SENT):
        tiny_runs.make(task, folder / task, folder / "data")
    tiny_runs.make(NP, folder / "plain", folder / "data", "--cell=lstm")
    copy(folder, "flags_damaged", folder / NP, lambda made: (made / "flags.json").write_text("{"))
    copy(
        folder, "flags_incomplete", folder / NP, lambda made: (made / "flags.json").write_text("{}")
    )
    copy(folder, "checkpoints_damaged", folder / NP, damage_all_checkpoints)
    copy(
        folder, "result_damaged", folder / NP, lambda made: (made / "result.json").write_text("[]")
    )
    copy(
        folder,
        "metrics_damaged",
        folder / NP,
        lambda made: (
            (made / "result.json").unlink(),
            (made / "metrics.jsonl").write_text("{}\n7\n"),
        ),
    )
    copy(folder, "no_best", folder / NP, lambda made: (made / "checkpoints" / "best.npz").unlink())
    copy(folder, "no_vocabulary", folder / LM, lambda made: (made / "vocabulary.txt").unlink())
    copy(
        folder,
        "more_words",
        folder / LM,
        lambda made: (made / "vocabulary.txt").write_text("a\nb\nc\n"),
    )
    copy(
        folder,
        "same_words",
        folder / SENT,
        lambda made: (made / "vocabulary.txt").write_text("a\nb\na\n"),
    )
    copy(
        folder,
        "encoder_damaged",
        folder / NER,
        lambda made: (made / "encoder.json").write_text('{"words": 3}'),
    )
    whole = (folder / NP / "checkpoints" / "best.npz").read_bytes()
    files = {
        "empty": b"",
        "file": b"mine\n",
        "speed/length.json": b"{}",
        "cut.npz": whole[:-100],
        "flipped.npz": whole[:90] + b"?" + whole[91:],
        "latin.txt": b"the cat\nthe caf\xe9 sleeps\n",
        "nul.txt": b"the cat\n\n\nthe \0 dog\n",
        "unknown.txt": b"the cat\nthe zebra\n",
        "three.conll": b"Anna NNP B-NP I-PER\n\nRome NNP I-LOC\n",
        "two.conll": b"Anna I-PER\n\nRome I-LOC\n",
        "tag.conll": b"Anna NNP B-NP I-PER\nleft VBD B-VP X-\n",
        "bad.vec": b"the 1 2 3 4\nfilm 1 2 three 4\nanna 1 two 3 4\n",
        "short.vec": b"the 1 2 3\n",
        "uneven.vec": b"the 1 2 3 4\ncat 1 2\n",
        "nan.vec": b"the 1 2 3 nan\nanna 1 nan 3 4\n",
        "promise.vec": b"9 4\nthe 1 2 3 4\n",
        "bad.bin": b"two 4\n",
        "bad.txt.gz": b"\x1f\x8bno",
        "spaced.bin": b"2 4\nthe " + bytes(16) + b"fine wine " + bytes(16),
        "more.bin": b"1 4\nthe " + bytes(16) + b"a " + bytes(16),
        "zip.vec": b"PK\3\4",
        "counts.conll": b"1 Anna O O\n2 left O O\n",
        "._a.txt": b"\0\5\x16\7\0",
    }
    (folder / "speed").mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    other_network(folder / "other.npz")
    np.savez(folder / "pickle.npz", words=np.array([None]), vectors=np.zeros((1, 4)))
    good = (folder / "data" / "words" / "train.txt").read_bytes()
    for name, changed in {
        "no_train": {"train": None},
        "no_test": {"test": None},
        "empty_train": {"train": b""},
        "empty_valid": {"valid": b""},
        "latin": {"train": files["latin.txt"]},
        "short_test": {"test": b"the cat <unk>\n"},
        "one_line": {"train": b"the cat <unk>\n"},
        "no_unk": {"train": b"the cat sleeps\n" * 30},
        "both": {},
    }.items():
        (folder / "words" / name).mkdir(parents=True)
        for split in ("train", "valid", "test"):
            if (content := changed.get(split, good)) is not None:
                (folder / "words" / name / f"{split}.txt").write_bytes(content)
    (folder / "words" / "both" / "ptb.train.txt").write_bytes(good)
    archive = folder / "words" / "archive" / "simple-examples.tgz"
    archive.parent.mkdir()
    archive.write_bytes(b"no archive")
    for name, content in {
        "three": files["three.conll"],
        "tag": files["tag.conll"],
        "counts": files["counts.conll"],
        "outside": b"Anna NNP B-NP O\n",
        "chunks": b"Anna NNP O B-NP\n",
        "empty": b"\n\n",
        "latin": files["latin.txt"],
    }.items():
        (folder / "tags" / name).mkdir(parents=True)
        for file in ("eng.train", "eng.testa", "eng.testb"):
            (folder / "tags" / name / file).write_bytes(content)
    (folder / "tags" / "both").mkdir()
    for file in ("train.txt", "valid.txt", "dev.txt", "test.txt"):
        (folder / "tags" / "both" / file).write_bytes(b"Anna NNP B-NP I-PER\n")
    for name, content in {
        "open": b"(2 (2 a) (2 film))\n(2 (2 a)\n",
        "label": b"(2 a)\n\n(7 a)\n",
        "empty": b"\n",
    }.items():
        (folder / "trees" / name).mkdir(parents=True)
        for file in ("train.txt", "dev.txt", "test.txt"):
            (folder / "trees" / name / file).write_bytes(content)
    for name, content in {
        "columns": b"pos\tso good\n",
        "latin": b"label\ttext\npos\tcaf\xe9\n",
        "one_class": b"label\ttext\npos\tgood\npos\tfine\n",
        "short": b"label\ttext\npos\tgood\nneg\n",
    }.items():
        (folder / "texts" / name).mkdir(parents=True)
        for part in ("train", "test"):
            (folder / "texts" / name / f"{part}.tsv").write_bytes(content)
    for name, change in {
        "missing": None,
        "empty": b"",
        "text": "1 2 3\n".encode("utf-16"),
        "cut": b"PK\x03\x04half",
    }.items():
        (folder / "numbers" / name).mkdir(parents=True)
        if change is not None:
            (folder / "numbers" / name / "train.npz").write_bytes(change)
    for name, packed in {
        "words": "ptb.train.txt.gz",
        "tags": "eng.train.zip",
        "trees": "train.txt.gz",
    }.items():
        (folder / name / "packed").mkdir(parents=True)
        (folder / name / "packed" / packed).write_bytes(b"\x1f\x8b")
        (folder / name / "packed" / f"._{packed}").write_bytes(b"\0\5\x16\7")
    shutil.copytree(folder / "words" / "latin", folder / "words" / "gzip")
    (folder / "words" / "gzip" / "train.txt").write_bytes(b"\x1f\x8b\x08\0")
    (folder / "folder").mkdir()
    (folder / "folder" / "notes.txt").write_text("mine")
    return folder


RUN = "--run_dir={new}"
SMALL = " ".join(tiny_runs.TINY)
TRAIN_NP = f"{NP}/RL_train.py {SMALL} {' '.join(tiny_runs.FLAGS[NP])}"
TRAIN_LM = f"{LM}/RL_train.py {SMALL} {' '.join(tiny_runs.FLAGS[LM])}"
TRAIN_NER = f"{NER}/RL_train.py {SMALL} {' '.join(tiny_runs.FLAGS[NER])}"
TRAIN_SENT = f"{SENT}/RL_train.py {SMALL} {' '.join(tiny_runs.FLAGS[SENT])}"

# A command, of which {p} is the folder above and {new} one that does not exist, and what its one
# line says.
TABLE = f"""
flags
{NP}/RL_train.py {RUN} --n_actions=0                       | --n_actions expects a value >= 1, got 0
{LM}/RL_train.py {RUN} --n_actions=0                       | --n_actions expects a value >= 1, got 0
{NER}/RL_train.py {RUN} --lamda=1.5
    | --lamda expects a value from 0 to 1, got 1.5
{SENT}/RL_train.py {RUN} --lamda=-.5
    | --lamda expects a value from 0 to 1, got -0.5
{LM}/RL_train.py {RUN} --lambda=1
    | unknown flag --lambda \\(did you mean lamda\\?\\); --help lists them
{NP}/RL_train.py {RUN} --cell=dynamic_skp
    | --cell expects one of dynamic_skip, .* \\(did you mean dynamic_skip\\?\\)
{LM}/RL_train.py {RUN} --preset=papr
    | --preset expects one of paper, .*; got 'papr' \\(did you mean paper\\?\\)
{SENT}/RL_train.py {RUN} --preset=released
    | --preset expects one of paper, .*; got 'released'
{LM}/RL_train.py {RUN} --reward=luck                       | --reward expects one of .*; got 'luck'
{NER}/RL_train.py {RUN} --rnn_size=big
    | --rnn_size expects a whole number, got 'big'
{NP}/RL_train.py {RUN} --batch_size=1.5
    | --batch_size expects a whole number, got '1.5'
{NP}/RL_train.py {RUN} --learning_rate=nan
    | --learning_rate expects a finite number, got nan
{NP}/RL_train.py {RUN} --seed=99999999999
    | --seed expects a value from 0 to 2147483647, got 99999999999
{LM}/RL_train.py {RUN} --dropout=1                         | --dropout expects a value .*, got 1.0
{LM}/RL_train.py {RUN} rnn_size=5
    | expected flags only .* found 'rnn_size=5'
{NER}/RL_train.py {RUN} --jit_compile=maybe                | .*jit_compile.*
{NP}/RL_train.py {RUN} --length=9                          | --length expects a value >= 10, got 9
{NP}/RL_train.py {RUN} --skip=2
    | --skip belongs to --cell fixed_skip or --cell skip_rnn, the cell here is .*
{NP}/RL_train.py {RUN} --cell=clockwork --rnn_size=2
    | --periods expects from 1 to 2 numbers \\(--rnn_size\\), got 4
{NP}/RL_train.py {RUN} --recover=-1                        | --recover expects a value >= 0, got -1
{NP}/RL_train.py {RUN} --strategy=some
    | --strategy expects one of none, mirrored, multi_worker; got 'some'
{NP}/RL_train.py {RUN} --strategy=multi_worker
    | --strategy multi_worker needs to know the workers: set TF_CONFIG, .*
{NP}/train_RL10_1.py {RUN} --length=20
    | --length expects a value = 10, got 20
{NP}/train_RL10_1.py {RUN} --preset=paper21
    | --preset expects one of paper, released; got 'paper21' .*
{NP}/RL_train.py {RUN} --dropout=.5
    | --dropout has no effect here \\(this network drops no units\\): leave it out
{NP}/RL_train.py {RUN} --preset=released --rl_weight=2
    | --rl_weight belongs to --reward log_likelihood or --reward sign, the reward here is .*
{NP}/RL_train.py {RUN} --cell=lstm --initializers=released
    | --initializers belongs to --cell dynamic_skip, the cell here is lstm: .*
{NP}/train_recall.py {RUN} --dropout=.5
    | --dropout has no effect here \\(this network drops no units\\): leave it out
{NP}/train_recall.py {RUN} --data_dir=foo
    | --data_dir has no effect here \\(the sequences are always generated\\): .*
{NP}/train_recall.py {RUN} --preset=C --cell=lstm --skip=2
    | --skip belongs to --cell fixed_skip or --cell skip_rnn, the cell here is lstm: .*
{NP}/train_recall.py {RUN} --cell=lstm --recurrent_init=.5
    | --recurrent_init belongs to --cell skip_rnn, the cell here is lstm: .*
{LM}/RL_train.py {RUN} --model=char --char_filters=,
    | --char_filters expects whole numbers separated by commas.*, got ','
{NP}/train_recall.py {RUN} --length=0                      | --length expects a value >= 1, got 0
{NP}/train_recall.py {RUN} --n_train=5 --batch_size=6
    | expected at least --batch_size 6 training examples, found 5: give a smaller .*
{NP}/produce_data.py --data_dir={{new}} --length=9         | --length expects a value >= 10, got 9
{NP}/produce_data.py --data_dir={{new}} --n_train=0        | --n_train expects a value >= 1, got 0
{NP}/produce_data.py --data_dir={{new}} --label_rule=x
    | --label_rule expects one of paper, last_ten, released; got 'x'
{NP}/produce_data.py --data_dir={{new}} --label_rule=released --length=101
    | expected a length of at most 100 .*, found 101
{NP}/produce_data.py --data_dir={{p}}/file
    | .*file: expected a folder, found a file in its way; name another
{NP}/evaluate.py --split=valid
    | --split expects one of train, dev, test; got 'valid'
{NP}/show_skips.py --rundir=x
    | unknown flag --rundir \\(did you mean run_dir\\?\\); --help lists them
{LM}/evaluate.py --streams=0                               | --streams expects a value >= 1, got 0
{LM}/generate.py --temperature=-1
    | --temperature expects a value >= 0, got -1.0
{LM}/VAE_train.py {RUN} --annealing=linear --annealing_slope=1
    | --annealing_slope belongs to --annealing sigmoid, the annealing here is linear: .*
{LM}/VAE_train.py {RUN} --latent_size=0 --annealing=none
    | --annealing has no effect with --latent_size 0 .*: leave one of them out
{LM}/VAE_train.py {RUN} --latent_size=0 --nolatent_input
    | --latent_input has no effect with --latent_size 0 .*: leave one of them out
{LM}/VAE_train.py {RUN} --word_keep=2                      | --word_keep expects a value .*
{LM}/VAE_train.py {RUN} --estimator=marginal --cell=dynamic_skip
    | --estimator expects one of policy_gradient, straight_through, reinmax; .*
{LM}/VAE_train.py {RUN} --data_dir={{p}}/nowhere
    | .*nowhere: expected a folder with a corpus, found none; check --data_dir, .*
{LM}/generate.py --between=one
    | --between expects two sentences, such as .*; got one
{LM}/generate.py --n_words=none
    | --n_words expects a whole number, got 'none'
{NER}/tag.py --output={{new}}
    | --output needs the gold tags of a file: give --file .*
{SENT}/RL_train.py {RUN} --dataset=yelp
    | --dataset expects one of imdb, sst5, sst2, own; got 'yelp'
{SENT}/RL_train.py {RUN} --dataset=own
    | --dataset own needs --data_dir, the folder that has train.tsv or .*
{SENT}/RL_train.py {RUN} --dataset=own --data_dir={{p}} --phrases
    | --phrases belongs to --dataset sst5 or sst2, the data set here is own: .*
{SENT}/RL_train.py {RUN} --dataset=sst5 --phrases
    | --phrases are those of the trees in --data_dir, which is not given: name it, or .*
{NER}/RL_train.py {RUN} --columns=1,2
    | --columns are those of the files in --data_dir, which is not given: name it, or .*
{NER}/RL_train.py {RUN} --unknown_singletons=.5
    | --unknown_singletons 0.5 expects words seen once that are known, .* give --min_count 1 or .*
{NER}/RL_train.py {RUN} --char_encoder=none --max_chars=5
    | --max_chars belongs to --char_encoder cnn or .*, the char_encoder here is none: .*
{LM}/RL_train.py {RUN} --preset=documents --context=sentence --context_sentences=3
    | --context_sentences belongs to --context attention, the context here is sentence: .*
{LM}/RL_train.py {RUN} --preset=documents --rnn_layers=2 --dropout=.5
    | --model document expects --rnn_layers 1, or --dropout 0: add that, or change --model
{NP}/RL_train.py {RUN} --preset=released --estimator=straight_through
    | --reward released expects --estimator policy_gradient, .*: give --reward log_likelihood, .*
{NER}/RL_train.py {RUN} --columns=1
    | --columns expects two numbers, .* such as 1,4; got 1
{NER}/tag.py --run_dir={{p}}/{NER} --columns=1,2
    | --columns are those of a --file, standard input has none: leave them out
{NER}/evaluate.py --run_dir={{p}}/{NER} --file={{p}}/x --data_dir={{p}}
    | --file is read in place of a split, so not with --data_dir: leave one of them out
{NER}/evaluate.py --run_dir={{p}}/{NER} --file={{p}}/x --split=test
    | --file is read in place of a split, so not with --split: leave one of them out
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/x --split=train
    | --text is read in place of a split, so not with --split: leave one of them out
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/x --data_dir={{p}}
    | --text is read in place of a split, so not with --data_dir: leave one of them out
{NER}/RL_train.py {RUN} --columns=2,2
    | --columns expects two numbers, .* such as 1,4; got 2,2
{NP}/RL_train.py {RUN} --data_dir={{p}} --n_train=7
    | --n_train belongs to runs without --data_dir, the data_dir here is .*: leave it out, or .*
{LM}/RL_train.py {RUN} --preset=small --decay_when=5
    | --decay_when belongs to --decay_after 0, the decay_after here is 4: leave it out, or .*
{NER}/RL_train.py {RUN} --columns=0,2                      | --columns expects a value >= 1, got 0
{NER}/tag.py --run_dir={{p}}/{NER} --file={{p}}/x --columns=1,2,3
    | --columns expects two numbers, .* such as 1,4; got 1,2,3
{LM}/RL_train.py {RUN} --tokens=letters
    | --tokens expects one of spaces, words, characters; got 'letters'
experiments/run.py --rows=lstm                             | --rows expects a table beside it: .*
experiments/run.py nowhere
    | --table expects one of .*; got 'nowhere'.*
experiments/run.py numbers11 --rows=nothing
    | --rows expects some of .*; got 'nothing'
experiments/run.py numbers11 --shard=2/2
    | --shard expects i/n with 0 <= i < n, got '2/2'
experiments/run.py numbers11 --seeds=0                     | --seeds expects a value >= 1, got 0

data
{NP}/RL_train.py {SMALL} {RUN} --data_dir={{p}}/nowhere
    | .*train.npz: expected number data, found no file; run python .*produce_data.py.*
{NP}/RL_train.py {SMALL} {RUN} --data_dir={{p}}/numbers/missing
    | .*train.npz: expected number data, found no file; .*
{NP}/RL_train.py {SMALL} {RUN} --data_dir={{p}}/numbers/empty
    | .*train.npz: expected number data, found a broken file .*
{NP}/RL_train.py {SMALL} {RUN} --data_dir={{p}}/numbers/text
    | .*train.npz: expected number data, found a broken file .*
{NP}/RL_train.py {SMALL} {RUN} --data_dir={{p}}/numbers/cut
    | .*train.npz: expected number data, found a broken file .*
{TRAIN_NP} {RUN} --n_train=9
    | expected at least --batch_size 10 training examples, found 9: give a smaller .*
{TRAIN_LM} {RUN} --data_dir={{p}}/nowhere
    | .*nowhere: expected a folder with a corpus, found none; check --data_dir, .*
{TRAIN_LM} {RUN} --data_dir={{p}}/data/words/train.txt
    | .*train.txt: .*, found none \\(it is a file: give the folder that it lies in\\); .*
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags/eng.train
    | .*eng.train: .*, found neither \\(it is a file: give the folder that it lies in\\); .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees/train.txt
    | .*train.txt: .*, found none \\(it is a file: give the folder that it lies in\\); .*
{TRAIN_LM} {RUN} --data_dir={{p}}/words/no_train
    | .*no_train: expected all three texts, found no train.txt; add it
{TRAIN_LM} {RUN} --data_dir={{p}}/words/no_test
    | .*no_test: expected all three texts, found no test.txt; add it
{TRAIN_LM} {RUN} --data_dir={{p}}/words/short_test --batch_size=20
    | .*short_test, test: expected at least --batch_size .* = 21 tokens, found 4; .*
{TRAIN_LM} {RUN} --data_dir={{p}}/words/empty_train
    | .*train.txt: expected text, found an empty file; get or write it again
{TRAIN_LM} {RUN} --data_dir={{p}}/words/empty_valid
    | .*valid.txt: expected text, found an empty file; get or write it again
{TRAIN_LM} {RUN} --data_dir={{p}}/words/latin
    | .*train.txt:2: expected UTF-8 text, found byte 0xe9 .*; convert .*
{TRAIN_LM} {RUN} --data_dir={{p}}/words/one_line           | .*batch.*
{TRAIN_LM} {RUN} --data_dir={{p}}/words/no_unk
    | .*valid.txt:1: the word 'sees' is not in the vocabulary, .*, or train with --min_count 2
{TRAIN_LM} {RUN} --data_dir={{p}}/words/both
    | .*both: expected ptb.train.txt or train.txt, found both; remove one
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/both
    | .*both: expected valid.txt or dev.txt, found both; remove one
{TRAIN_LM} {RUN} --data_dir={{p}}/words/archive
    | .*simple-examples.tgz: expected a whole tar archive, found: .*; get it again
{TRAIN_LM} {RUN} --data_dir={{p}}/data/words --load_model={{p}}/nowhere
    | no checkpoint at .*nowhere: expected a file that training wrote; give another, or .*
{TRAIN_LM} {RUN} --data_dir={{p}}/data/words --load_model={{p}}/other.npz
    | the checkpoint is of another model: expected .* of shape .*
{TRAIN_LM} {RUN} --data_dir={{p}}/words/gzip
    | .*train.txt: expected UTF-8 text, found a gzip file; unpack it .*
{TRAIN_LM} {RUN} --data_dir={{p}}/words/packed
    | .*found neither, but ptb.train.txt.gz, still packed: unpack it there
{TRAIN_LM} {RUN} --data_dir=no/where
    | no/where: expected a folder with a corpus, found none \\(seen from .*\\); .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/packed
    | .*found neither, but eng.train.zip, still packed: unpack it there; .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/counts
    | .*eng.train: expected the word in column 1, found 1, 2, ... in every .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/outside
    | .*eng.train: expected entity tags .* in column 4, found the tag O alone; .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/chunks
    | .*eng.train: expected entity tags .*, found kinds of phrase \\(NP\\); .*
{TRAIN_NER} {RUN} --data_dir={{p}}/nowhere
    | .*nowhere: expected eng.train .*, found neither; CoNLL-2003 is licensed: .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/three
    | .*eng.train:3: expected 4 columns .*, found 3; repair the line, or say .*
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags --columns=1,5
    | .*eng.train:3: expected at least 5 columns, because of --columns 1,5, found 4; .*
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags --columns=1,2
    | .*eng.train:3: expected an entity tag .* in column 2, found 'NNP'; repair .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/tag
    | .*eng.train:2: expected an entity tag .*, found 'X-'; repair the line, or .*
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/empty
    | .*eng.train: expected sentences, found none; get the file again
{TRAIN_NER} {RUN} --data_dir={{p}}/tags/latin
    | .*eng.train:2: expected UTF-8 text, found byte 0xe9 .*
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags --vectors={{p}}/nowhere.txt
    | expected a file of word vectors at .*, found nothing there; .*
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags --vectors={{p}}/bad.vec
    | .*bad.vec:3: expected 4 numbers after the word, but .*
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags --vectors={{p}}/nan.vec
    | .*nan.vec:2: expected 4 numbers after the word, but one is not finite
{TRAIN_NER} {RUN} --data_dir={{p}}/data/tags --vectors={{p}}/pickle.npz
    | .*pickle.npz: expected `words` and `vectors` in an .npz without pickles.*
{TRAIN_SENT} {RUN} --data_dir={{p}}/nowhere
    | .*nowhere: expected the folder that has the data, found none; check the path
{TRAIN_SENT} {RUN} --data_dir={{p}}/trees/open
    | .*train.txt:2: expected a tree such as .*, found no end; repair the line
{TRAIN_SENT} {RUN} --data_dir={{p}}/trees/label
    | .*train.txt:3: expected a tree such as .*, found '7' for a label .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/trees/empty
    | .*train.txt: expected trees, found none; get the file again
{TRAIN_SENT} {RUN} --dataset=own --data_dir={{p}}/nowhere
    | .*nowhere: expected the folder that has the data, found none; check the path
{TRAIN_SENT} {RUN} --dataset=own --data_dir={{p}}/data/trees
    | .*trees: expected train.tsv or train.jsonl, found neither; add it
{TRAIN_SENT} {RUN} --dataset=imdb --data_dir={{p}}/data/trees
    | .*trees: expected the data of --dataset imdb, found train.txt; give another folder, .* sst5
{TRAIN_SENT} {RUN} --dataset=imdb --data_dir={{p}}/texts/short
    | .*short: expected the data of --dataset imdb, found train.tsv; give another folder, .* own
{TRAIN_SENT} {RUN} --dataset=sst2 --data_dir={{p}}/texts/short
    | .*short: expected the data of --dataset sst2, found train.tsv; give another folder, .* own
{TRAIN_SENT} {RUN} --dataset=own --data_dir={{p}}/texts/columns
    | .*train.tsv:1: expected a first line that names the columns, .*; write it so
{TRAIN_SENT} {RUN} --dataset=own --data_dir={{p}}/texts/latin
    | .*train.tsv:2: expected UTF-8 text, found byte 0xe9 .*; convert .*
{TRAIN_SENT} {RUN} --dataset=own --data_dir={{p}}/texts/one_class
    | .*train.tsv: expected texts of at least two classes, found 'pos' alone; .*
{TRAIN_SENT} {RUN} --dataset=own --data_dir={{p}}/texts/short
    | .*train.tsv:3: expected 2 columns .*, found 1; repair the line
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/bad.vec
    | .*bad.vec:2: expected 4 numbers after the word, but .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/short.vec
    | .*short.vec: expected vectors of dimension 4, found 3; change .*--word_size.*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/uneven.vec
    | .*uneven.vec:2: expected a word and 4 numbers, found 2; repair the line
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/promise.vec
    | .*promise.vec: the first line promises 9 rows, found 1; .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/bad.bin
    | .*bad.bin: expected word2vec's binary format, a first line .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/trees/packed
    | .*found neither, but train.txt.gz, still packed: unpack it there
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/spaced.bin
    | .*spaced.bin, row 2: expected a word and 4 floats, .* a space .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/more.bin
    | .*more.bin: expected 1 rows .* but 18 bytes follow; get .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/zip.vec
    | .*zip.vec: expected word vectors, found a zip file; unpack .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/bad.txt.gz
    | .*bad.txt.gz: expected a whole gzip file, found a broken one .*
{TRAIN_SENT} {RUN} --data_dir={{p}}/data/trees --vectors={{p}}/folder
    | expected a file of word vectors at .*folder, found a folder; give the file itself

runs
{TRAIN_NP} --run_dir={{p}}/file
    | --run_dir expects a folder, found a file: .*
{TRAIN_NP} --run_dir={{p}}/file/in
    | --run_dir .*file/in cannot be made \\(Not a directory\\): choose another
{TRAIN_NP} --run_dir={{p}}/folder
    | .*folder is not empty and holds no run .*: choose another --run_dir
{TRAIN_NP} --run_dir={{p}}/{NP} --lamda=.5
    | .* belongs to other flags \\(--lamda was 1.0, now 0.5\\): give those, or .*
{TRAIN_LM} --run_dir={{p}}/{NP}
    | .* holds a run of NumberPrediction, not of LanguageModeling: .*
{TRAIN_NP} --run_dir={{p}}/flags_damaged
    | .*flags.json is damaged .*: delete the folder, or choose another --run_dir
{TRAIN_NP} --run_dir={{p}}/flags_incomplete
    | .*flags.json is damaged \\(flags, task or starts missing\\): .*
{TRAIN_NP} --run_dir={{p}}/result_damaged
    | .*result.json is damaged .*: delete it, and run the same command again
{NP}/evaluate.py
    | --run_dir is empty: name the folder of a run, such as .*
{NP}/evaluate.py --run_dir={{p}}/nowhere
    | no run in .*nowhere: expected the folder that training wrote, .*
{NP}/evaluate.py --run_dir={{p}}/{NER}
    | .* holds a run of NER, expected one of NumberPrediction
{NP}/evaluate.py --run_dir={{p}}/no_best
    | no checkpoint at .*best.npz: training writes it when an epoch has ended; give its .*
{NP}/evaluate.py {{p}}/nowhere
    | no run in .*nowhere: expected the folder that training wrote, .*
experiments/show_skips.py
    | expected the folder of a run, found none; name one, such as runs/demo
experiments/show_skips.py {{p}}/plain
    | expected a run whose network chooses connections \\(.*\\), found --cell lstm; name another run
{LM}/generate.py --run_dir={{p}}/{LM} --between=a b
    | .* holds a run of LanguageModeling, expected one of SentenceVAE, which .*VAE_train.py trains
{NER}/evaluate.py --run_dir={{p}}/{NER} --file={{p}}/two.conll
    | .*two.conll:1: expected 4 columns .*, found 2; .* have words and tags: 1,2
{NP}/evaluate.py --run_dir={{p}}/{NP} --checkpoint={{p}}/cut.npz
    | damaged or unfinished checkpoint .*: .*cut.npz; give another.*
{NP}/evaluate.py --run_dir={{p}}/{NP} --checkpoint={{p}}/flipped.npz
    | damaged or unfinished checkpoint .*: .*flipped.npz; give another.*
{NP}/evaluate.py --run_dir={{p}}/{NP} --checkpoint={{p}}/file
    | expected a checkpoint, found another kind of file: .*
{NP}/evaluate.py --run_dir={{p}}/{NP} --checkpoint={{p}}/folder
    | expected a checkpoint file, found a folder: .*
{NP}/evaluate.py --run_dir={{p}}/{NP} --checkpoint={{p}}/other.npz
    | the checkpoint is of another model: expected .* found shape .*
{NP}/evaluate.py --run_dir={{p}}/{NP} --data_dir={{p}}/nowhere
    | .*nowhere/train.npz: expected number data, found no file; .*
{NP}/evaluate.py --run_dir={{p}}/{NP} --length=5
    | expected a length of at least 10, what an index can point to; found 5
{NP}/show_skips.py --run_dir={{p}}/plain
    | expected a run whose network chooses where to look, found one with --cell lstm .*
{NP}/show_skips.py --run_dir={{p}}/{NP} --out={{p}}/file/in
    | .*file: expected a folder, found a file in its way; name another
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/nowhere
    | .*nowhere: expected a text file, found nothing there; check the path
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/folder
    | .*folder: expected a text file, found a folder; give the file itself
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/latin.txt
    | .*latin.txt:2: expected UTF-8 text, found byte 0xe9 .*
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/nul.txt
    | .*nul.txt:4: expected UTF-8 text, found a NUL byte; .*
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/empty
    | .*empty: expected text, found an empty file; .*
{LM}/evaluate.py --run_dir={{p}}/no_vocabulary
    | .*vocabulary.txt: expected a text file, found nothing there; .*
{LM}/generate.py --run_dir={{p}}/more_words
    | the checkpoint is of another model: expected .*
{LM}/generate.py --run_dir={{p}}/{SENT}
    | .* holds a run of Sentiment, expected one of LanguageModeling
{NER}/evaluate.py --run_dir={{p}}/{NER} --file={{p}}/three.conll
    | .*three.conll:3: expected 4 columns .*, found 3; repair the line, or say .*
{LM}/produce_text.py --data_dir={{p}}/file
    | .*file: expected a folder, found a file in its way; name another
{LM}/produce_text.py --data_dir={{new}} --characters=9
    | --characters expects a value >= 1000, got 9
experiments/look_inside.py
    | expected a run: python .*look_inside.py RUN_DIR
experiments/look_inside.py {{p}}/{LM}
    | .*: expected a language model by characters, found --tokens spaces: train one with .*
experiments/look_inside.py {{p}}/{NER}
    | .* holds a run of NER, expected one of LanguageModeling
{LM}/evaluate.py --run_dir={{p}}/{LM} --text={{p}}/._a.txt
    | .*: expected UTF-8 text, found what macOS keeps beside a file .*
{LM}/evaluate.py --run_dir={{p}}/{LM} --data_dir={{p}}/nowhere
    | .*nowhere: expected a folder with a corpus, found none; check --data_dir, .*
{NER}/evaluate.py --run_dir={{p}}/{NER} --data_dir={{p}}/nowhere
    | .*nowhere: expected eng.train .*, found neither; .*
{NER}/evaluate.py --run_dir={{p}}/{NER} --file={{p}}/counts.conll
    | .*counts.conll: expected the word in column 1, found 1, 2, .*
{NER}/evaluate.py --run_dir={{p}}/{NER} --file={{p}}/nowhere
    | .*nowhere: expected a text file, found nothing there; check the path
{NER}/tag.py --run_dir={{p}}/{NER} --file={{p}}/tag.conll --output={{new}}
    | .*tag.conll:2: expected an entity tag .*; repair the line, or say with .*
{NER}/tag.py --run_dir={{p}}/{NER} --file={{p}}/tag.conll --output={{p}}/file/in
    | .*file: expected a folder, found a file in its way; name another
{NER}/tag.py --run_dir={{p}}/{NER} --file={{p}}/tag.conll --output={{p}}/./tag.conll
    | --output .*tag.conll is the --file that is read, which it would replace: name another
{NER}/tag.py --run_dir={{p}}/encoder_damaged
    | .*encoder.json: expected what Encoder.save wrote, but .*; train the model again
{NER}/tag.py --run_dir={{p}}/nowhere
    | no run in .*nowhere: expected the folder that training wrote, .*
{SENT}/evaluate.py --run_dir={{p}}/{SENT} --data_dir={{p}}/nowhere
    | .*nowhere: expected the folder that has the data, found none; check .*
experiments/figure_gradients.py {{p}}/{NP} --steps 1       | --steps expects a value >= 2, got 1
experiments/figure_training.py numbers11 --rows dynamc
    | --rows expects some of .*; got 'dynamc'.*
experiments/figure_training.py recall
    | expected rows with an agent in recall, found results of others alone: name another .*
experiments/figure_gradients.py {{p}}/{NP} --steps 12
    | --steps 12 has no effect on .*, whose loss is at step 11: leave it out
experiments/figure_highway.py --out={{p}}/file/in
    | .*file: expected a folder, found a file in its way; name another
experiments/figure_parity.py --rates=
    | --rates expects one value or more, got none
experiments/figure_highway.py --depths=
    | --depths expects one value or more, got none
experiments/figure_growth.py --results={{p}}/nowhere --out={{new}}
    | .*length.json, found none: python benchmarks/speed.py --parts .* --results .*/nowhere
experiments/figure_growth.py --results={{p}}/speed --out={{new}}
    | .*length.json is damaged \\(milliseconds_at missing\\): measure that part again
experiments/report.py --out={{new}}
    | --out is the file of --html: give that too, or leave it out
experiments/run.py lm ner_features --vectors {{p}}/file
    | --vectors has no effect on lm, ner_features: leave it out
experiments/show_skips.py {{p}}/{NP} --samples 7
    | --samples is of the page that --html writes: give that too, or leave it out
experiments/figure_gradients.py {{p}}/nowhere --steps 10
    | no run in .*nowhere: expected the folder that training wrote, .*
{SENT}/evaluate.py --run_dir={{p}}/{LM}
    | .* holds a run of LanguageModeling, expected one of Sentiment
{SENT}/predict.py --run_dir={{p}}/{SENT} --file={{p}}/latin.txt
    | .*latin.txt:2: expected UTF-8 text, found byte 0xe9 .*
{SENT}/predict.py --run_dir={{p}}/same_words
    | .*vocabulary.txt:3: 'a' is in line 1 already; remove one of them
{SENT}/predict.py
    | --run_dir is empty: name the folder of a run, such as .*
"""
ROWS = [
    tuple(part.strip() for part in line.rsplit(" | ", 1))
    for line in TABLE.replace("\n    | ", " | ").splitlines()
    if " | " in line
]


def call(command: str, monkeypatch, **paths: pathlib.Path) -> None:
    """Run a script of the checkout in this process, as `python SCRIPT ...` would; paths may have
    spaces in them.
    """
    script, *arguments = (word.format(**paths) for word in command.split())
    monkeypatch.setattr(sys, "argv", [str(ROOT / script), *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO("Anna left Rome .\n"))
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if script.startswith("experiments"):
        monkeypatch.setattr(subprocess, "Popen", None)  # nothing is to be started
    runpy.run_path(sys.argv[0], run_name="__main__")


def refused(command, place, capsys, monkeypatch) -> str:
    """The one line with which a command is refused; it leaves everything as it was."""
    before = contents(place)
    new = place / "new"
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        call(command, monkeypatch, p=place, new=new)
    out, error = capsys.readouterr()
    lines = [line for line in error.splitlines() if not line.startswith("warning: ")]
    assert left.value.code == 2
    assert len(lines) == 1 and lines[0].startswith("error: "), error
    assert not out, out
    assert contents(place) == before
    shutil.rmtree(new, ignore_errors=True)  # an empty folder at most
    return lines[0].removeprefix("error: ")


def test_the_table_is_large():
    assert len(ROWS) > 100
    scripts = {row[0].split()[0] for row in ROWS}
    mains = {
        str(path.relative_to(ROOT))
        for folder in (LM, NP, NER, SENT)
        for path in (ROOT / folder).glob("*.py")
        if "__main__" in path.read_text()
    }
    assert mains <= scripts


@pytest.mark.parametrize(
    "command, expected",
    ROWS,
    ids=[row[0].replace("{p}/", "").replace(SMALL, "")[:60] for row in ROWS],
)
def test_refused(command, expected, place, capsys, monkeypatch):
    line = refused(command, place, capsys, monkeypatch)
    assert re.fullmatch(expected, line), line


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 3}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_wrong_tf_config(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        sys,
        "argv",
        [
            str(ROOT / NP / "RL_train.py"),
            "--strategy=multi_worker",
            f"--run_dir={tmp_path / 'run'}",
        ],
    )
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(sys.argv[0], run_name="__main__")
    assert left.value.code == 2 and not (tmp_path / "run").exists()
    assert re.fullmatch(r"error: TF_CONFIG expects \{.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    "name, expected",
    [("checkpoints_damaged", "no usable checkpoint among the 1 in"), ("metrics_damaged", "line 2")],
)
def test_a_run_that_cannot_go_on(name, expected, place, tmp_path, capsys, monkeypatch):
    """It stays for its owner to look at; only that it was started again is noted."""
    shutil.copytree(place / name, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(SystemExit) as left:
        call(f"{TRAIN_NP} --run_dir={{p}}/run", monkeypatch, p=tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and expected in lines[-1] and lines[-1].startswith("error: ")
    after = contents(tmp_path / "run")
    assert {key for key in after if after[key] != before.get(key)} == {"flags.json"}


@pytest.mark.parametrize(
    "train, data, file",
    [
        (TRAIN_LM, "words", "train.txt"),
        (TRAIN_NER, "tags", "eng.train"),
        (TRAIN_SENT, "trees", "train.txt"),
    ],
    ids=[LM, NER, SENT],
)
def test_data_that_has_changed(train, data, file, place, tmp_path, capsys, monkeypatch):
    """A run that went on would take its weights for those of other words, and lose its own."""
    task = train.partition("/")[0]
    shutil.copytree(place / task, tmp_path / "run")
    shutil.copytree(place / "data" / data, tmp_path / "data")
    (tmp_path / "run" / "result.json").unlink()
    stored = json.loads((tmp_path / "run" / "flags.json").read_text())
    stored["flags"]["data_dir"] = str(tmp_path / "data")
    (tmp_path / "run" / "flags.json").write_text(json.dumps(stored))
    text = (tmp_path / "data" / file).read_text()
    as_many = re.sub(r"\b(dog|Rome|film)\b", "owl", text)
    (tmp_path / "data" / file).write_text(as_many)
    before = contents(tmp_path / "run")
    with pytest.raises(SystemExit) as left:
        call(f"{train} --data_dir={{p}}/data --run_dir={{p}}/run", monkeypatch, p=tmp_path)
    assert left.value.code == 2
    assert "the data have other words now than when this run began" in capsys.readouterr().err
    after = contents(tmp_path / "run")
    assert {key for key in after if after[key] != before.get(key)} == {"flags.json"}


@pytest.mark.parametrize(
    "task, data",
    [(LM, "words"), pytest.param(NER, "tags", marks=LONG), pytest.param(SENT, "trees", marks=LONG)],
)
def test_data_that_has_moved(task, data, place, tmp_path, capsys, monkeypatch):
    """A run whose data are not where its flags say, seen from here, is evaluated with --data_dir,
    as its error says.
    """
    shutil.copytree(place / task, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "flags.json").read_text())
    stored["flags"]["data_dir"] = f"data/{data}"
    (tmp_path / "run" / "flags.json").write_text(json.dumps(stored))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(place))
    with pytest.raises(SystemExit):
        call(f"{task}/evaluate.py --run_dir=run", monkeypatch)
    assert f"(seen from {tmp_path})" in capsys.readouterr().err
    call(f"{task}/evaluate.py --run_dir=./run/ --data_dir=~/data/{data}", monkeypatch)
    out = capsys.readouterr().out
    assert out.startswith("./run/: ") and "\ntest_" in out


# ------------------------------------------------------------------------------------ by subprocess


@pytest.mark.parametrize(
    "script, arguments, line",
    [
        (
            "NumberPrediction/RL_train.py",
            ["--n_actions", "0"],
            "error: --n_actions expects a value >= 1, got 0\n",
        ),
        (
            "LanguageModeling/RL_train.py",
            ["--lamda", "1.5"],
            "error: --lamda expects a value from 0 to 1, got 1.5\n",
        ),
        (
            "Sentiment/predict.py",
            ["--rundir", "x"],
            "error: unknown flag --rundir (did you mean run_dir?); --help lists them\n",
        ),
    ],
)
def test_scripts_from_another_directory(script, arguments, line, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert not list(tmp_path.iterdir())
