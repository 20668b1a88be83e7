"""common/figures/plots.py: files that are whole, the same bytes for the same picture, values where
they belong.
"""

import csv
import os
import subprocess
import sys
import xml.dom.minidom

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

import common
from common.figures import arcs, plots
from common.ops import agent


def draw():
    made, (left, right) = plots.figure(6, 3, columns=2, width_ratios=(2, 1))
    values = np.array([[0.0, 0.5, 1.0], [np.nan, 0.25, 0.75]])
    image = plots.heat_map(
        left,
        values,
        "ab",
        [1, 2, 3],
        row_label="row",
        column_label="column (steps)",
        value_label="share",
        maximum=1,
    )
    right.plot([1, 2, 3])
    plots.caption(made, "what it shows")
    return made, left, image


def test_a_heat_map_shows_the_values_and_says_what_they_are():
    made, axes, image = draw()
    shown = image.get_array()
    assert shown.mask.tolist() == [[False, False, False], [True, False, False]]
    assert shown.compressed().tolist() == [0, 0.5, 1, 0.25, 0.75]
    assert image.get_clim() == (0, 1)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("column (steps)", "row")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert "share" in [one.get_ylabel() for one in made.axes]


def test_saved_twice_is_saved_alike(tmp_path):
    one, other = (
        plots.save(draw()[0], tmp_path / "new" / "a"),
        plots.save(draw()[0], tmp_path / "b.c"),
    )
    # a dot in the name is not an ending
    assert [path.name for path in other] == ["b.c.png", "b.c.svg"]
    for first, second in zip(one, other, strict=True):
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["Ba$$in", "$x$", r"$\frac$", "US$5", "and", "$6"],
        ["--", "-->", "<b>", "&", "]]>", r"\b"],
        ["form\x0cfeed", "esc\x1b[1m", "\x85", "\ufffe"],
        ["x" * 300, "y"],
    ],
    ids=["dollars", "markup", "control characters", "long"],
)
def test_every_word_can_be_drawn(words, tmp_path, recwarn, capsys):
    """As it is: no mathematics between dollars, and nothing that an SVG file must not hold."""
    paths = arcs.draw(words, [2] * len(words), tmp_path / "a", " ".join(words))
    xml.dom.minidom.parse(str(paths[1]))
    with open(paths[2], newline="", encoding="utf-8") as file:
        assert [row["word"] for row in csv.DictReader(file)] == words
    assert arcs.as_text(words, [1] * len(words)).replace("\n", "").isprintable()
    assert not [str(one.message) for one in recwarn] and not capsys.readouterr().err


def test_letters_that_the_font_lacks_are_said_once(tmp_path, recwarn, capsys):
    arcs.draw(["\u65e5\u672c", "\u00e9", "\u65e5"], [1, 1, 2], tmp_path / "a", "\u672c")
    said = capsys.readouterr().err
    assert said.startswith("warning: ") and said.count("\n") == 1
    assert "has no \u65e5 \u672c, drawn as boxes" in said and not len(recwarn)


@LONG
def test_a_matplotlibrc_changes_no_picture(tmp_path, root):
    """One in the current folder counts before all others; this one asks for LaTeX, among others."""
    made = plots.save(draw()[0], tmp_path / "plain")
    settings = "text.usetex: True\nsavefig.transparent: True\nlines.linewidth: 9\n"
    (tmp_path / "matplotlibrc").write_text(settings)
    program = "import test_plots as t; t.plots.save(t.draw()[0], 'other')"
    path = os.pathsep.join([str(root), str(root / "tests")])
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        check=True,
    )
    for one, name in zip(made, ("other.png", "other.svg"), strict=True):
        assert one.read_bytes() == (tmp_path / name).read_bytes()


def test_csv(tmp_path):
    path = plots.write_csv(
        tmp_path / "new" / "a.csv", {"word": ["x,y", 'say "k"'], "n": np.array([1, 2])}
    )
    assert path.read_bytes() == b'word,n\n"x,y",1\n"say ""k""",2\n'
    with pytest.raises(ValueError):
        plots.write_csv(path, {"a": [1], "b": [1, 2]})
    assert path.read_bytes().startswith(b"word")  # the old file stays


def test_matplotlib_waits_until_something_is_drawn(root):
    program = "import sys; from common.figures import plots; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_connections_of_a_batch(monkeypatch, tmp_path):
    """As distances, as probabilities, as a trace; masked steps are left out."""
    distances = np.array([[1, 2, 1, 0], [1, 0, 1, 2], [0, 0, 0, 0]])
    words = [["a", "b", "c", "<pad>"], ["d", "e", "f"], []]  # with and without the masked ones
    matplotlib.rcParams["font.size"] = 17
    paths = common.draw_connections(distances[1], tmp_path / "one.PNG", words[1])
    assert [path.name for path in paths] == ["one.png", "one.svg", "one.csv"]
    assert paths[2].read_text().splitlines()[1:] == ["0,d,1,", "1,e,1,0", "2,f,2,0"]
    assert matplotlib.rcParams["font.size"] == 17
    monkeypatch.setattr(arcs, "draw", lambda *given: [given[:3]])
    probs = np.eye(4)[distances][..., 1:]
    trace = agent.Trace(distances, *[None] * 4)
    for given in (distances, tf.constant(probs), trace, {"distances": distances}):
        assert common.draw_connections(given, tmp_path / "a", words) == [
            (["a", "b", "c"], [1, 2, 1], tmp_path / "a-1"),
            (["d", "e", "f"], [1, 1, 2], tmp_path / "a-2"),
        ]
    for letters in (tf.constant(["ä", "b"]), ["ä".encode(), b"b"], iter("äb")):
        ((drawn, *_),) = common.draw_connections([1, 1], tmp_path / "a", letters)
        assert drawn == ["ä", "b"]
    (unnamed,) = common.draw_connections(probs[1], tmp_path / "a")
    assert unnamed == (["1", "3", "4"], [1, 1, 2], tmp_path / "a")


@pytest.mark.parametrize(
    ("trace", "labels", "message"),
    [
        (
            np.ones([2, 3, 4], int),
            None,
            r"whole numbers of at least 0, .* int64 of shape \[2, 3, 4\]",
        ),
        (np.ones(3), None, r"probabilities \[T, K\] or \[B, T, K\]; received float64"),
        (np.array([1, -1]), None, "at least 0"),
        (np.array([[1, 0, 2]]), [["a"]], "3 labels of sequence 0, or 2 of its steps .* received 1"),
        (np.array([[1, 2]]), ["ab", "cd"], "labels of 1 sequences, received 2"),
        (
            np.array([[1.0, 2.0, 1.0]]),
            None,
            r"probabilities .*; received float64 of shape \[1, 3\]",
        ),
        (np.full([2, 3], np.nan), None, "probabilities"),
    ],
)
def test_connections_of_something_else(trace, labels, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        common.draw_connections(trace, tmp_path / "a", labels)
    assert not list(tmp_path.iterdir())
