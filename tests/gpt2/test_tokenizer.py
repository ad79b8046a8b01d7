"""Texts become the ids that OpenAI published, for any vocabulary in OpenAI's two files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiktoken
from conftest import MINI_DIR, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GPT2Tokenizer

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.config import VOCABULARY_FILES
from spam_gpt2.gpt2.tokenizer import END_OF_TEXT, load_tokenizer

REAL_DIR = ROOT.parent / "shared/data/gpt2-124M"
SMS_PATH = ROOT.parent / "shared/data/sms/SMSSpamCollection"

AWKWARD_TEXTS = [
    "",
    " ",
    "   three spaces, then\ttab\r\n\r\n  and lines \n",
    "don't DON'T we'll I'M 're '",
    "£1000 cash!!! Txt WIN 2 80086, 150p/msg",
    "naïve café ÄÖÜ ß ½ 一二三 日本語 עברית العربية ไทย",
    "\N{PARTY POPPER}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{REGIONAL INDICATOR SYMBOL LETTER D}",
    "e\N{COMBINING ACUTE ACCENT} \N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}\N{ZERO WIDTH SPACE}x",
    "null \x00 and bell \x07",
    f"{END_OF_TEXT} in {END_OF_TEXT}{END_OF_TEXT} a text",
    "a" * 500,
]

# Any text but lone surrogates, which UTF-8 cannot hold, and characters that Unicode has not
# assigned, which two regular expression engines may know differently.
any_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cn", "Co"]))
# Text like people's: spaces, runs of digits, quotes and emoji more often than by chance.
typed_text = st.text(st.sampled_from("abcXYZ 0189'’!?.,£\n\t\N{PARTY POPPER}\N{SNOWMAN}éß日"))
texts = st.one_of(any_text, typed_text, st.sampled_from(AWKWARD_TEXTS))


@pytest.fixture(scope="module")
def real_tokenizer() -> tiktoken.Encoding:
    if not REAL_DIR.is_dir():
        pytest.skip("no folder with GPT-2's own vocabulary beside the repository")
    return load_tokenizer(REAL_DIR)


@pytest.fixture(scope="module")
def reference_tokenizer(real_tokenizer: tiktoken.Encoding) -> Callable[[str], list[int]]:
    """transformers' tokenizer of the same two files, special tokens taken for text."""
    encoder_path, bpe_path = (REAL_DIR / name for name in VOCABULARY_FILES)
    reference = GPT2Tokenizer(vocab=str(encoder_path), merges=str(bpe_path))
    assert len(reference) == 50257
    return lambda text: reference.encode(text, split_special_tokens=True)


@pytest.fixture(scope="module")
def mini_reference() -> Callable[[str], list[int]]:
    """A byte-level BPE of the package tokenizers on the stand-in's two files."""
    encoder_path, bpe_path = (MINI_DIR / name for name in VOCABULARY_FILES)
    reference = Tokenizer(BPE.from_file(str(encoder_path), str(bpe_path)))
    reference.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    return lambda text: reference.encode(text).ids


@pytest.fixture
def vocabulary_dir(tmp_path: Path) -> Path:
    """A copy of the stand-in's vocabulary, to spoil."""
    for name in VOCABULARY_FILES:
        shutil.copyfile(MINI_DIR / name, tmp_path / name)
    return tmp_path


def refusal(folder: Path) -> str:
    """The one line with which a vocabulary is refused."""
    with pytest.raises(InputError) as caught:
        load_tokenizer(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [15496, 995]),
        ("Every effort moves you", [6109, 3626, 6100, 345]),
        ("", []),
    ],
)
def test_ids_are_the_published_ones(
    real_tokenizer: tiktoken.Encoding, text: str, ids: list[int]
) -> None:
    assert real_tokenizer.encode_ordinary(text) == ids
    assert real_tokenizer.decode(ids) == text


def test_the_real_vocabulary_has_its_size_and_its_end_of_text(
    real_tokenizer: tiktoken.Encoding,
) -> None:
    assert real_tokenizer.n_vocab == 50257
    assert real_tokenizer.eot_token == 50256


def test_messages_get_the_ids_of_transformers(
    real_tokenizer: tiktoken.Encoding, reference_tokenizer: Callable[[str], list[int]]
) -> None:
    if not SMS_PATH.is_file():
        pytest.skip("no folder with the messages beside the repository")
    with SMS_PATH.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        messages = [text for _, text in rows]
    assert len(messages) == 5574
    for message in messages:
        assert real_tokenizer.encode_ordinary(message) == reference_tokenizer(message)


@settings(deadline=None, max_examples=200)
@given(text=texts)
def test_any_text_gets_the_ids_of_transformers(
    real_tokenizer: tiktoken.Encoding,
    reference_tokenizer: Callable[[str], list[int]],
    text: str,
) -> None:
    assert real_tokenizer.encode_ordinary(text) == reference_tokenizer(text)


@pytest.mark.parametrize("text", AWKWARD_TEXTS, ids=range(len(AWKWARD_TEXTS)))
def test_awkward_texts_get_the_ids_of_an_independent_bpe(
    tokenizer: tiktoken.Encoding, mini_reference: Callable[[str], list[int]], text: str
) -> None:
    assert tokenizer.encode_ordinary(text) == mini_reference(text)


@settings(deadline=None, max_examples=200)
@given(text=texts)
def test_any_text_gets_the_ids_of_an_independent_bpe(
    tokenizer: tiktoken.Encoding, mini_reference: Callable[[str], list[int]], text: str
) -> None:
    assert tokenizer.encode_ordinary(text) == mini_reference(text)


@settings(deadline=None, max_examples=200)
@given(text=texts)
def test_decoding_gives_the_text_back(tokenizer: tiktoken.Encoding, text: str) -> None:
    ids = tokenizer.encode_ordinary(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= token < tokenizer.n_vocab for token in ids)


def test_the_end_of_text_in_a_message_is_plain_text(tokenizer: tiktoken.Encoding) -> None:
    ids = tokenizer.encode_ordinary(f"win{END_OF_TEXT}cash")
    assert tokenizer.eot_token not in ids
    assert len(ids) > 3
    assert tokenizer.decode(ids) == f"win{END_OF_TEXT}cash"
    assert tokenizer.decode([tokenizer.eot_token]) == END_OF_TEXT


def test_ids_are_those_of_encoder_json(tokenizer: tiktoken.Encoding) -> None:
    ids = json.loads((MINI_DIR / "encoder.json").read_text(encoding="utf-8"))
    assert tokenizer.n_vocab == len(ids) == 4096
    assert tokenizer.eot_token == ids[END_OF_TEXT]
    plain = {token: i for token, i in ids.items() if token.isascii() and token.isalpha()}
    assert len(plain) > 500
    for token, i in plain.items():
        assert tokenizer.decode_single_token_bytes(i) == token.encode("ascii")


@pytest.mark.parametrize("name", VOCABULARY_FILES)
def test_a_missing_file_is_named(vocabulary_dir: Path, name: str) -> None:
    (vocabulary_dir / name).unlink()
    assert refusal(vocabulary_dir).startswith(f"{vocabulary_dir / name}: no such file; ")


def edited(path: Path, edit: Callable[[dict[str, int]], object]) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    edit(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def swap_two_ids(values: dict[str, int]) -> None:
    values["the"], values["and"] = values["and"], values["the"]


def assert_refused_as_damaged(folder: Path) -> None:
    assert refusal(folder).startswith(
        f"{folder}: vocab.bpe and encoder.json are damaged or do not belong together; "
    )


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values.pop(END_OF_TEXT),
        lambda values: values.pop("the"),
        lambda values: values.update(the=values["the"] + 1),
        lambda values: values.update(brandnew=len(values)),
        lambda values: values.update({END_OF_TEXT: 99_999}),
        lambda values: values.update({END_OF_TEXT: values["the"]}),
        lambda values: values.update({END_OF_TEXT: "4095"}),
        swap_two_ids,
    ],
    ids=[
        "no end of text",
        "a token is missing",
        "an id is wrong",
        "a token too many",
        "the end of text far off",
        "the end of text taken",
        "the end of text no number",
        "ids swapped",
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(
    vocabulary_dir: Path, edit: Callable[[dict[str, int]], object]
) -> None:
    edited(vocabulary_dir / "encoder.json", edit)
    assert_refused_as_damaged(vocabulary_dir)


@pytest.mark.parametrize("name", VOCABULARY_FILES)
@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b"\xff\xfe", b"<html>502 Bad Gateway</html>", b"a b c d\n" * 9],
)
def test_a_file_of_something_else_is_refused(
    vocabulary_dir: Path, name: str, content: bytes
) -> None:
    (vocabulary_dir / name).write_bytes(content)
    assert_refused_as_damaged(vocabulary_dir)


@pytest.mark.parametrize("name", VOCABULARY_FILES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(vocabulary_dir: Path, name: str, share: float) -> None:
    content = (vocabulary_dir / name).read_bytes()
    (vocabulary_dir / name).write_bytes(content[: int(share * len(content))])
    assert_refused_as_damaged(vocabulary_dir)


def test_merges_in_another_order_are_refused(vocabulary_dir: Path) -> None:
    path = vocabulary_dir / "vocab.bpe"
    version, first, second, *others = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([version, second, first, *others]), encoding="utf-8")
    assert_refused_as_damaged(vocabulary_dir)


@pytest.mark.parametrize("name", VOCABULARY_FILES)
def test_files_of_two_vocabularies_are_refused(
    vocabulary_dir: Path, real_tokenizer: tiktoken.Encoding, name: str
) -> None:
    shutil.copyfile(REAL_DIR / name, vocabulary_dir / name)
    assert_refused_as_damaged(vocabulary_dir)


def test_a_vocabulary_that_changed_at_its_path_is_read_anew(vocabulary_dir: Path) -> None:
    """tiktoken keeps what it read by the path alone."""
    assert load_tokenizer(vocabulary_dir).n_vocab == 4096
    bpe_path, encoder_path = vocabulary_dir / "vocab.bpe", vocabulary_dir / "encoder.json"
    *merges, last, _ = bpe_path.read_text(encoding="utf-8").split("\n")
    bpe_path.write_text("\n".join([*merges, ""]), encoding="utf-8")

    def drop_the_last_merge(values: dict[str, int]) -> None:
        del values[last.replace(" ", "")]
        values[END_OF_TEXT] = 4094

    edited(encoder_path, drop_the_last_merge)
    tokenizer = load_tokenizer(vocabulary_dir)
    assert tokenizer.n_vocab == 4095
    assert tokenizer.eot_token == 4094


def test_damage_after_a_good_load_is_seen(vocabulary_dir: Path) -> None:
    load_tokenizer(vocabulary_dir)
    edited(vocabulary_dir / "encoder.json", swap_two_ids)
    assert_refused_as_damaged(vocabulary_dir)
