"""GPT-2's byte-pair encoding, built from the vocabulary files that lie beside the weights."""

from __future__ import annotations

import json
from pathlib import Path

import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str

from spam_gpt2.common.files import InputError, sha256_of
from spam_gpt2.gpt2.config import VOCABULARY_FILES

END_OF_TEXT = "<|endoftext|>"
LIMIT = 1 << 26  # bytes; OpenAI's have one million


def load_tokenizer(vocabulary_dir: Path, n_vocab: int | None = None) -> tiktoken.Encoding:
    """The tokenizer of `encoder.json` and `vocab.bpe` in a folder, with no download of its own.

    Its `encode_ordinary` turns a text into token ids and takes the characters `<|endoftext|>` in a
    message for text; `eot_token` is the id of the real one.

    Raises InputError when a file is missing, the two disagree, or they do not make `n_vocab`
    tokens, the number that a model knows.
    """
    encoder_path, bpe_path = (vocabulary_dir / name for name in VOCABULARY_FILES)
    for path in (encoder_path, bpe_path):
        if not path.is_file():
            raise InputError(f"{path}: no such file; `dvc repro convert_gpt2` brings it")
        if path.stat().st_size > LIMIT:
            raise InputError(f"{path}: more than {LIMIT:,} bytes; this is no vocabulary of GPT-2")
    try:
        # tiktoken keeps a copy by path; the digests make it read again when the file has changed.
        ranks = data_gym_to_mergeable_bpe_ranks(
            str(bpe_path), str(encoder_path), sha256_of(bpe_path), sha256_of(encoder_path)
        )
        end_of_text = json.loads(encoder_path.read_text(encoding="utf-8"))[END_OF_TEXT]
        if end_of_text != len(ranks):
            raise ValueError(f"{END_OF_TEXT} is {end_of_text!r}, not the id after the last merge")
    except (
        AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError
    ) as error:  # fmt: skip
        raise InputError(
            f"{vocabulary_dir}: vocab.bpe and encoder.json are damaged or do not belong together; "
            "`dvc repro --force fetch_gpt2` fetches them again"
        ) from error
    if n_vocab not in (None, len(ranks) + 1):
        raise InputError(
            f"{vocabulary_dir}: the vocabulary has {len(ranks) + 1:,} tokens, but the model "
            f"{n_vocab:,}; take vocabulary and weights from one checkpoint"
        )
    return tiktoken.Encoding(
        name="gpt2",
        pat_str=r50k_pat_str,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: end_of_text},
        explicit_n_vocab=len(ranks) + 1,
    )
