"""What the agents of a run do with texts, in numbers, as pictures and on the page; the networks are
untrained.
"""

import functools
import json
import re
import shutil
import subprocess

import keras
import numpy as np
import pytest
from helpers.marks import long_but

from common.config import from_dict
from common.data.text import EOS, PADDING, UNKNOWN, Vocabulary
from common.errors import InputError
from common.training import checkpoint
from common.training.run_directory import RunDirectory
from experiments import connections, connections_page, show_skips, weights

SMALL = {"rnn_size": 5, "agent_units": 4, "jit_compile": False}


def make_run(folder, config, model):
    """A run's folder with the weights of a model, drawn so that its agents are not undecided."""
    directory = RunDirectory.open(folder, config, ["train.py"])
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0, 2 if len(variable.shape) > 1 else 0.2, variable.shape))
    arrays = {f"variable/{i}/{v.path}": v.numpy() for i, v in enumerate(model.variables)}
    checkpoint.save(directory.checkpoints, 1, arrays, {}, "best")
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of a run of each task."""
    keras.utils.set_random_seed(0)
    root = tmp_path_factory.mktemp("runs")
    from LanguageModeling import experiment as lm_experiment
    from LanguageModeling import model as language_model
    from LanguageModeling.presets import LanguageConfig
    from NER import experiment as ner_experiment
    from NER import model as ner_model
    from NER.presets import NERConfig
    from NER.reader import Encoder, Sentence
    from NumberPrediction.model import NumberModel
    from NumberPrediction.presets import NumberConfig
    from Sentiment import experiment as sentiment_experiment
    from Sentiment import model as sentiment_model
    from Sentiment.presets import SentimentConfig

    words = Vocabulary((PADDING, UNKNOWN, EOS, "the", "dog", "that", "barks", "sleeps"))
    config = from_dict(LanguageConfig, SMALL | {"n_actions": 3, "lamda": 0.7})
    made = {
        "LanguageModeling": make_run(
            root / "lm", config, language_model.LanguageModel(config, len(words))
        )
    }
    words.save(root / "lm" / lm_experiment.VOCABULARY)
    config = from_dict(
        NumberConfig, SMALL | {"n_actions": 4, "observation": "mean", "history": "window"}
    )
    made["NumberPrediction"] = make_run(root / "np", config, NumberModel(config))
    config = from_dict(SentimentConfig, SMALL | {"word_size": 6})
    made["Sentiment"] = make_run(
        root / "s", config, sentiment_model.SentimentModel(config, len(words), 2)
    )
    words.save(root / "s" / sentiment_experiment.VOCABULARY)
    config = from_dict(NERConfig, SMALL | {"word_size": 6, "char_size": 3, "char_filters": 4})
    sentence = Sentence(
        ["Anna", "met", "the", "UN", "in", "Rome", "."],
        ["S-PER", "O", "O", "S-ORG", "O", "S-LOC", "O"],
    )
    encoder = Encoder.build([sentence], min_count=1)
    made["NER"] = make_run(root / "ner", config, ner_model.NERModel(config, encoder))
    encoder.save(root / "ner" / ner_experiment.ENCODER)
    return made


@pytest.fixture(scope="module")
def networks(runs):
    """The network of each task's run, loaded once."""
    load = connections.load  # tests put `networks` in its place
    return functools.cache(lambda task: load(runs[task]))


TEXTS = {
    "LanguageModeling": ["the dog that barks sleeps", "the dog sleeps"],
    "NumberPrediction": ["5 1 7 3 0 9 2 2 4 8 3", "1 2 3"],
    "Sentiment": ["The dog that never barks , sleeps .", "dog"],
    "NER": ["Anna, who met the U.N. in 1998, left Rome's dog.", "Anna sleeps"],
}


@pytest.mark.parametrize("task", long_but(["NumberPrediction", "NER"], TEXTS))
def test_every_text_is_read_as_if_alone(networks, task):
    network = networks(task)
    tokens = [network.tokenise(text) for text in TEXTS[task]]
    together = connections.read(network, tokens, n_samples=3)
    for words, readings in zip(tokens, together, strict=True):
        for reading in readings:
            assert reading.words == (words[::-1] if reading.name == "right to left" else words)
            np.testing.assert_allclose(reading.probs.sum(-1), 1, atol=1e-5)
            assert reading.distances.tolist() == (reading.probs.argmax(-1) + 1).tolist()
            assert reading.samples.shape == (3, len(words))
            assert reading.samples.min() >= 1 and reading.samples.max() <= network.config.n_actions
    # the shorter text, padded before
    for reading, alone in zip(together[1], connections.read(network, tokens[1:])[0], strict=True):
        np.testing.assert_allclose(reading.probs, alone.probs, atol=1e-6)
        assert reading.distances.tolist() == alone.distances.tolist()
    assert any(len(set(reading.distances)) > 1 for reading in together[0])


def test_samples_follow_the_distribution(networks):
    reading = connections.read(networks("NumberPrediction"), [list("517")], n_samples=4000)[0][0]
    # of the first step: later ones depend on the draws before
    share = [(reading.samples[:, 0] == k).mean() for k in range(1, 5)]
    np.testing.assert_allclose(share, reading.probs[0], atol=0.04)


def test_bad_input(networks, tmp_path):
    with pytest.raises(InputError, match="no run in"):
        connections.load(str(tmp_path))
    with pytest.raises(InputError, match="expected digits such as"):
        networks("NumberPrediction").tokenise("one two")
    with pytest.raises(InputError, match="at least one word"):
        connections.read(networks("NER"), [[]])
    (tmp_path / "flags.json").write_text('{"task": "Recall", "flags": {}, "starts": []}')
    with pytest.raises(InputError, match="holds a run of Recall, expected one of LanguageModeling"):
        connections.load(str(tmp_path))
    (tmp_path / "flags.json").write_text("[1")
    with pytest.raises(InputError, match="flags.json is damaged"):
        connections.load(str(tmp_path))


def test_pictures(networks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(connections, "load", networks)
    paths = show_skips.show(
        show_skips.ShowConfig(
            run_dir="NER", text="Anna met the UN", out=str(tmp_path / "new" / "x")
        )
    )
    names = [
        f"x-{side}.{kind}" for side in ("left", "right") for kind in ("png", "svg", "csv", "json")
    ]
    assert [path.name for path in paths] == names and all(path.stat().st_size for path in paths)
    assert "Anna  <- " in capsys.readouterr().out
    assert json.loads(paths[3].read_text())["title"] == "Connections: Anna met the UN"


@pytest.mark.parametrize("task", ["LanguageModeling", "NumberPrediction"])
def test_examples_where_no_text_is_given(networks, task):
    network = networks(task)
    for text in network.inspection.example_texts(network.config, 99):
        assert network.tokenise(text)


def test_a_network_that_is_too_large_stays_out_of_the_page(networks):
    model, reason = weights.export(networks("NER"), 0)
    assert model is None and re.fullmatch(r"its weights would make this page \d+ MB large", reason)


@pytest.mark.parametrize("task", ["LanguageModeling", "NER", "NumberPrediction"])
def test_the_page_computes_what_python_computes(networks, task, tmp_path):
    """In a browser without a display: the texts to pick from and a typed one, of other words."""
    browser = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if browser is None:
        pytest.skip(
            "no browser here: apt-get install chromium, then python -m pytest --last-skipped"
        )
    network = networks(task)
    tokens = [network.tokenise(text) for text in TEXTS[task]]
    path = connections_page.write(
        network, TEXTS[task], connections.read(network, tokens, 2), tmp_path / "page", 1
    )
    page = path.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)\s*=|@import|https?://""", page)
    typed = {"NumberPrediction": "1 2 3 4"}.get(task, "the sleeps dog barks")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    url = f"{path.as_uri()}#text={typed.replace(' ', '+')}&word=2"
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=120)
    # the page holds five decimals
    assert float(re.search(r'data-difference="([^"]+)"', done.stdout)[1]) < 1e-5
    words = network.tokenise(typed)
    expected = connections.read(network, [words])[0][0].distances
    assert re.search(r'data-ready="([^"]+)"', done.stdout)[1] == " ".join(map(str, expected))
    assert (
        len(re.findall(r'tabindex="0" data-t="\d', done.stdout)) == len(words)
        and "steps back" in done.stdout
    )
