"""`python -m spam_gpt2.exports`: what it writes and prints, and what it refuses in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from trained import save_trained

from spam_gpt2.data.messages import write_split
from spam_gpt2.gpt2.model import GPT2

TEXTS = ["WINNER!! Claim your prize now", "see you at dinner", "", "it's <|endoftext|> 😀"] * 3


@pytest.fixture
def project(tiny_gpt2: GPT2, tmp_path: Path) -> Path:
    """A finished pipeline's folders."""
    save_trained(tmp_path, tiny_gpt2)
    (tmp_path / "data/prepared").mkdir(parents=True)
    labels = ["spam", "ham", "ham", "spam"] * 3
    table = pd.DataFrame({"line": range(1, 13), "label": labels, "text": TEXTS})
    write_split(tmp_path / "data/prepared/test.csv", table)
    return tmp_path


def export(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spam_gpt2.exports", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)


def test_a_hugging_face_folder_with_its_model_card(project: Path) -> None:
    (project / "reports").mkdir()
    (project / "reports/model_card.md").write_text("# A card\n")
    done = export(project, "huggingface")
    assert done.stderr == ""
    assert done.stdout.startswith("exports/huggingface: 0.")
    assert "12 test messages, logits equal within" in done.stdout
    assert done.stdout.endswith("no label differs\n")
    assert (project / "exports/huggingface/README.md").read_text() == "# A card\n"
    assert [path.name for path in (project / "exports").iterdir()] == ["huggingface"]


def test_both_forms_where_onnx_is_installed(project: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    done = export(project, "--output", "out")
    assert done.returncode == 0, done.stderr
    places = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert places == ["out/huggingface", "out/onnx/model.onnx", "out/onnx/model.int8.onnx"]
    assert "reports/model_card.md is missing" in done.stderr


def test_where_onnx_is_not_installed_one_line_says_what_to_run(project: Path) -> None:
    hide = "import sys; sys.modules['onnxscript'] = None; import runpy; sys.argv = ['x', 'onnx']; "
    hide += "runpy.run_module('spam_gpt2.exports', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", hide], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "is not installed; run: make extras" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (project / "exports").exists()


def test_a_pipeline_that_has_not_run_is_one_line(tmp_path: Path) -> None:
    done = export(tmp_path, "huggingface")
    assert done.returncode == 1
    assert done.stderr == (
        "error: data/prepared/test.csv: no such file; `dvc repro prepare` makes it\n"
    )


def test_a_position_that_cannot_be_expressed_is_one_line(tiny_gpt2: GPT2, project: Path) -> None:
    save_trained(project, tiny_gpt2, position="mean_tokens")
    done = export(project, "huggingface")
    assert done.returncode == 1
    assert done.stderr.startswith("error: classifier.position: mean_tokens cannot be said")
    assert len(done.stderr.splitlines()) == 1
    assert not (project / "exports").exists()


def test_another_form_is_refused(tmp_path: Path) -> None:
    done = export(tmp_path, "pickle")
    assert done.returncode == 2
    assert "pickle: choose huggingface or onnx" in done.stderr
