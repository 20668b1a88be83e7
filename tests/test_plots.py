"""common/figures/plots.py: files that are whole, the same bytes for the same picture, values where
they belong.
"""

import subprocess
import sys

import numpy as np
import pytest

from common.figures import plots


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
