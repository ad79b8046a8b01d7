"""transformers computes what the classifier computes, from the folder alone; or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR
from torch import Tensor
from trained import CLASSIFIER_DIR, WEIGHTS_DIR, save_trained
from transformers import AutoTokenizer, GPT2ForSequenceClassification

from spam_gpt2.classifier.artifacts import load_classifier
from spam_gpt2.common.files import InputError
from spam_gpt2.exports.huggingface import fold_head_bias, write_huggingface
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.tokenizer import load_tokenizer

TEXTS = [
    "WINNER!! Claim your prize now",
    "see you at dinner",
    "",
    "it's  two\n\nlines, ünï 😀",
    "the characters <|endoftext|> are text",
    "more words than the classifier reads " * 9,
]


def exported(root: Path, gpt2: GPT2, **changes: object) -> tuple[Path, Tensor]:
    """The folder of a classifier that was saved and loaded, and its logits of TEXTS."""
    save_trained(root, gpt2, **changes)
    classifier, card = load_classifier(root / CLASSIFIER_DIR, root / WEIGHTS_DIR)
    tokenizer = load_tokenizer(root / WEIGHTS_DIR)
    folder = root / "huggingface"
    folder.mkdir()
    write_huggingface(folder, classifier, card, root / WEIGHTS_DIR, tokenizer.eot_token)
    messages = encode_messages(tokenizer, TEXTS, card.max_length)
    logits = []
    for row in messages.rows.tolist():
        tokens = messages.tokens[messages.offsets[row] : messages.offsets[row + 1]]
        with torch.inference_mode():
            logits.append(classifier(tokens[None], torch.tensor([len(tokens)])))
    return folder, torch.cat(logits)


@pytest.mark.parametrize(
    "changes",
    [
        {"trainable": "last_block"},
        {"trainable": "head_only"},
        {"trainable": "all"},
        {"trainable": "lora"},
        {"labels": ["ham", "spam", "news <b>"]},
        {"init": "random"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_transformers_computes_the_same(
    tiny_gpt2: GPT2, tmp_path: Path, changes: dict[str, object]
) -> None:
    """Texts through transformers' tokenizer, padded, cut, and with an empty one among them."""
    folder, ours = exported(tmp_path, tiny_gpt2, **changes)
    model = GPT2ForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=True, truncation=True, return_tensors="pt"
    )
    batch["attention_mask"][:, 0] = 1  # an empty message is one <|endoftext|>
    with torch.inference_mode():
        theirs = model(**batch).logits
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    labels = changes.get("labels", ["ham", "spam"])
    assert [model.config.id2label[number] for number in range(len(labels))] == labels
    assert batch["input_ids"].shape[1] == 24  # max_length of the card


def test_all_weights_have_their_place(tiny_gpt2: GPT2, tmp_path: Path) -> None:
    folder, _ = exported(tmp_path, tiny_gpt2)
    _, found = GPT2ForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "merges.txt", "vocab.json", "tokenizer_config.json",
    }  # fmt: skip
    assert (folder / "vocab.json").read_bytes() == (MINI_DIR / "encoder.json").read_bytes()
    assert json.loads((folder / "config.json").read_text())["pad_token_id"] == 4095


@pytest.mark.parametrize(("classes", "width"), [(2, 8), (2, 768), (8, 8), (300, 768)])
def test_a_folded_bias_adds_what_the_bias_added(classes: int, width: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    weight, bias = torch.randn(classes, width, generator=generator), torch.randn(classes) * 9
    folded = fold_head_bias(weight, bias)
    y = torch.randn(5, width, generator=generator).double()
    expected = y @ weight.double().T + bias
    torch.testing.assert_close((y + folded) @ weight.double().T, expected, atol=1e-6, rtol=1e-6)


def test_no_bias_changes_nothing() -> None:
    assert fold_head_bias(torch.randn(2, 8), torch.zeros(2)).tolist() == [0.0] * 8


@pytest.mark.parametrize(
    "weight",
    [torch.ones(2, 8), torch.zeros(2, 8), torch.randn(9, 8)],
    ids=["twice the same row", "nothing", "more classes than numbers"],
)
def test_a_bias_that_cannot_be_folded_is_refused(weight: Tensor) -> None:
    with pytest.raises(InputError, match="linearly dependent"):
        fold_head_bias(weight, torch.arange(len(weight)).float())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"position": "first_token"}, "classifier.position: first_token cannot be said"),
        ({"position": "mean_tokens"}, "classifier.position: mean_tokens cannot be said"),
        ({"position": "last_padded", "pad": True}, "classifier.position: last_padded cannot"),
        ({"position": "mean_padded", "pad": True}, "classifier.position: mean_padded cannot"),
        ({"causal": False}, "classifier.causal: false cannot be said"),
    ],
)
def test_what_it_cannot_express_is_refused(
    tiny_gpt2: GPT2, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        exported(tmp_path, tiny_gpt2, **changes)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "huggingface").iterdir()) == []
