"""The programs that load an export again run without this project, and what they find is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MINI_DIR
from trained import save_trained

from spam_gpt2.classifier.artifacts import load_classifier
from spam_gpt2.common.files import InputError
from spam_gpt2.exports.fresh import answers, check_equal, our_logits, token_rows
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.tokenizer import load_tokenizer

TEXTS = ["twice", "a longer message than the others", "twice", ""]
ECHO = "import json, sys, numpy; numpy.save(sys.argv[3], numpy.array(json.load(open(sys.argv[2]))))"


def test_a_program_gets_the_rows_and_no_path_to_this_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in_the_way.py").write_text("raise SystemExit('found')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert answers(ECHO, tmp_path, [[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InputError, match="No module named 'in_the_way'"):
        answers("import in_the_way", tmp_path, [])


def test_what_a_program_complains_about_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        answers("print('x'); raise ValueError('no such model')", tmp_path / "model.onnx", [])
    assert str(caught.value) == ("model.onnx: cannot be loaded again: ValueError: no such model")


def test_our_logits_are_those_of_the_plain_way(tiny_gpt2: GPT2, tmp_path: Path) -> None:
    save_trained(tmp_path, tiny_gpt2)
    classifier, card = load_classifier(tmp_path / "models/classifier", tmp_path / "models/gpt2")
    messages = encode_messages(load_tokenizer(MINI_DIR), TEXTS, card.max_length)
    rows = token_rows(messages)
    assert rows[0] == rows[2] == load_tokenizer(MINI_DIR).encode_ordinary("twice")
    assert rows[3] == [4095]
    with torch.inference_mode():
        plain = [classifier(torch.tensor([row]), torch.tensor([len(row)])) for row in rows]
    found = our_logits(classifier, messages)
    np.testing.assert_allclose(found, torch.cat(plain).numpy(), atol=1e-5)
    assert check_equal(found, found, "export", card) == 0
    for wrong in (found + 1e-2, found * np.nan):
        with pytest.raises(InputError, match="export: computes something else than the classifier"):
            check_equal(wrong, found, "export", card)
