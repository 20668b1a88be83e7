"""The pages that `make docs` writes."""

import re
import subprocess
import sys

import pytest

import common


def test_the_pages_have_all_public_names(installed, tmp_path):
    pytest.importorskip(
        "pdoc", reason="no pdoc here: make extra-docs, then python -m pytest --last-skipped"
    )
    command = [sys.executable, "-m", "pdoc", "--docformat", "google"]
    command += ["--no-include-undocumented", "--output-directory"]
    done = subprocess.run(
        [*command, tmp_path, "dynamic_skip_lstm", "dynamic_skip_lstm.losses"],
        env={"PYTHONPATH": str(installed), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "does not resolve" not in done.stderr
    page = (tmp_path / "dynamic_skip_lstm.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<section id="(\w+)">', page)) == set(common.__all__)
    for shown in ("DynamicSkipLSTM.__init__", "KStateLSTM.call", "CRF.log_likelihood"):
        assert f'id="{shown}"' in page
    losses = (tmp_path / "dynamic_skip_lstm" / "losses.html").read_text(encoding="utf-8")
    assert '<section id="policy_gradient">' in losses
