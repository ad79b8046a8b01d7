"""A prediction is what the plain forward of the classifier says, text by text, in order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import tiktoken
import torch
from torch import Tensor
from trained import CLASSIFIER_DIR, WEIGHTS_DIR, save_trained

from spam_gpt2.classifier.predict import CHUNK, Prediction, Predictor
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Classifier
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2

MAX_LENGTH = 24  # tokens, of the classifier in these tests
POSITIONS = get_args(Classifier.model_fields["position"].annotation)
TEXTS = [
    "Win £1000 cash now! Text WIN to 80086",
    "See you at home",
    "",
    "ok",
    "See you at home",
    "a",
    "Sorry I am late, the bus never came and the next one is full; " * 3,
    "<|endoftext|>",
    "ok\r\nand on",
    "\N{PARTY POPPER} 한국어",
]

every_position = pytest.mark.parametrize("position", POSITIONS)


def pads(position: str) -> bool:
    return position.endswith("padded")


def trained(root: Path, gpt2: GPT2, **changes: object) -> tuple[GPT2Classifier, Predictor]:
    """A classifier as it was in training, and the predictor that finds it on disk."""
    classifier = save_trained(root, gpt2, max_length=MAX_LENGTH, **changes)
    return classifier, Predictor.load(root / CLASSIFIER_DIR, root / WEIGHTS_DIR)


@torch.inference_mode()
def plain(classifier: GPT2Classifier, tokenizer: tiktoken.Encoding, texts: list[str]) -> Tensor:
    """Class probabilities, (N, K): one batch, padded on the right, through the whole model."""
    end = tokenizer.eot_token
    encoded = [tokenizer.encode_ordinary(text)[:MAX_LENGTH] or [end] for text in texts]
    tokens = torch.tensor([ids + [end] * (MAX_LENGTH - len(ids)) for ids in encoded])
    whole = pads(classifier.position)
    lengths = torch.tensor([MAX_LENGTH if whole else len(ids) for ids in encoded])
    return classifier(tokens, lengths).softmax(1)


def probabilities(predictions: list[Prediction]) -> Tensor:
    return torch.tensor([prediction.probabilities for prediction in predictions])


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@every_position
@pytest.mark.parametrize("causal", [True, False])
def test_predictions_are_those_of_the_plain_forward(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, position: str, causal: bool
) -> None:
    labels = ["ham", "news", "spam"]
    classifier, predictor = trained(
        tmp_path, tiny_gpt2, labels=labels, position=position, causal=causal, pad=pads(position)
    )
    expected = plain(classifier, tokenizer, TEXTS)
    assert expected.std(0).min() > 0.01  # else the tolerance would show little
    predictions = list(predictor.predict(TEXTS))
    assert_close(probabilities(predictions), expected)
    assert [p.label for p in predictions] == [labels[k] for k in expected.argmax(1)]
    assert [p.probability for p in predictions] == [max(p.probabilities) for p in predictions]


@every_position
def test_a_text_alone_is_predicted_as_among_others(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, position: str
) -> None:
    classifier, predictor = trained(tmp_path, tiny_gpt2, position=position, pad=pads(position))
    alone = [prediction for text in TEXTS for prediction in predictor.predict([text])]
    assert_close(probabilities(alone), plain(classifier, tokenizer, TEXTS))
    assert_close(probabilities(alone), probabilities(list(predictor.predict(TEXTS))))


@pytest.mark.parametrize("trainable", ["head_only", "last_2_blocks", "all", "lora"])
def test_predictions_are_those_of_the_plain_forward_whatever_was_trained(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, trainable: str
) -> None:
    classifier, predictor = trained(tmp_path, tiny_gpt2, trainable=trainable)
    predictions = list(predictor.predict(TEXTS))
    assert_close(probabilities(predictions), plain(classifier, tokenizer, TEXTS))


def test_what_stands_beyond_the_longest_that_is_read_does_not_matter(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    long = "free prize call now " * 20_000
    start = tokenizer.decode(tokenizer.encode_ordinary(long)[:MAX_LENGTH])
    shorter = tokenizer.decode(tokenizer.encode_ordinary(long)[: MAX_LENGTH - 1])
    same, also, other = predictor.predict([long, start, shorter])
    assert same == also
    assert other != same


def test_the_characters_of_the_end_of_text_are_text(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    empty, characters = predictor.predict(["", "<|endoftext|>"])
    assert empty.probabilities != characters.probabilities


def test_order_is_kept_over_the_borders_of_chunks(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    classifier, predictor = trained(tmp_path, tiny_gpt2)
    distinct = [f"call {'now ' * (i % 7)}{i}" for i in range(CHUNK - 5)]  # chunks never align
    texts = list(itertools.islice(itertools.cycle(distinct), 2 * CHUNK + 3))
    expected = plain(classifier, tokenizer, distinct)
    predictions = list(predictor.predict(texts))
    assert len(predictions) == len(texts)
    assert_close(probabilities(predictions), expected[torch.arange(len(texts)) % len(distinct)])


def test_identical_texts_have_identical_predictions(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    predictions = list(predictor.predict(["ok", "see you", "ok", *["ok"] * 70, "see you"]))
    assert predictions[0] == predictions[2] == predictions[72]
    assert predictions[1] == predictions[-1]
    assert predictions[0] != predictions[1]


def test_no_more_than_a_chunk_is_read_ahead(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "ok"

    predictions = predictor.predict(endless())
    assert read == 0
    for _ in range(CHUNK):
        next(predictions)
        assert read == CHUNK
    next(predictions)
    assert read == 2 * CHUNK


def test_no_text_gives_no_prediction(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    assert list(predictor.predict([])) == []


def test_before_the_pipeline_has_run_the_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Predictor.load(tmp_path / CLASSIFIER_DIR, tmp_path / WEIGHTS_DIR)
    missing_path = tmp_path / CLASSIFIER_DIR / "classifier.json"
    assert str(caught.value) == f"{missing_path}: no such file; `dvc repro` makes it"


DISGUISED = ["W\u0456n c\u0430\u200bsh n0w", "f r e e PRIZE"]
UNDONE = ["win cash now", "free prize"]


@every_position
def test_a_classifier_that_folds_answers_what_it_would_to_the_plain_text(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, position: str
) -> None:
    folds = ["characters", "spacing", "case"]
    changes = {"position": position, "pad": pads(position)}
    classifier, predictor = trained(tmp_path, tiny_gpt2, fold=folds, **changes)
    found = probabilities(list(predictor.predict(DISGUISED)))
    assert_close(found, plain(classifier, tokenizer, UNDONE))


def test_a_classifier_without_folds_reads_a_text_as_it_is(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    classifier, predictor = trained(tmp_path, tiny_gpt2)
    found = probabilities(list(predictor.predict(DISGUISED)))
    assert_close(found, plain(classifier, tokenizer, DISGUISED))
    assert (found - plain(classifier, tokenizer, UNDONE)).abs().max() > 0.01


def test_a_card_from_before_there_were_folds_has_none(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    trained(tmp_path, tiny_gpt2)
    card_path = tmp_path / CLASSIFIER_DIR / "classifier.json"
    card = json.loads(card_path.read_text())
    assert card.pop("fold") == []
    card_path.write_text(json.dumps(card))
    assert Predictor.load(tmp_path / CLASSIFIER_DIR, tmp_path / WEIGHTS_DIR).card.fold == []
    card_path.write_text(json.dumps(card | {"fold": ["accents"]}))
    with pytest.raises(InputError, match=r"fold\.0: must be 'characters', 'spacing' or 'case'"):
        Predictor.load(tmp_path / CLASSIFIER_DIR, tmp_path / WEIGHTS_DIR)


def test_a_text_by_itself_is_not_read_letter_by_letter(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    with pytest.raises(TypeError, match=r"expected a list of texts, not one: predict\(\['abc'\]\)"):
        predictor.predict("abc")
