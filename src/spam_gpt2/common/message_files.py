"""How a file of messages is to be read: its columns and form, as `params.yaml` gives them."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, field_validator

from spam_gpt2.common.validation import Section, shown


def _checked_column(value: Any) -> str | int:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if is_number or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError(f"a column is a name, or a number from 1, not {shown(value)}")


def _checked_columns(value: Any) -> list[str | int]:
    columns = [_checked_column(v) for v in (value if isinstance(value, list) else [value])]
    if not columns:
        raise ValueError("at least one column")
    return columns


class Columns(Section):
    """Where labels and texts stand: names of a header, or numbers from 1."""

    label: Annotated[str | int, PlainValidator(_checked_column)]
    text: Annotated[list[str | int], PlainValidator(_checked_columns)]  # joined where several


class Form(Section):
    """How a file of messages is to be read; null: as it looks."""

    columns: Columns | None = None
    encoding: Annotated[str, Field(max_length=100)] | None = None
    delimiter: Annotated[str, Field(max_length=10)] | None = None
    quoting: Literal["none", "default"] | None = None

    @field_validator("encoding")
    @classmethod
    def _is_a_text_encoding(cls, encoding: str | None) -> str | None:
        return None if encoding is None else text_encoding(encoding)

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str | None) -> str | None:
        return None if delimiter is None else one_character(delimiter)


def text_encoding(name: str) -> str:
    """The name of an encoding that Python knows, as it was given; ValueError for another."""
    try:
        is_known = codecs.lookup(name)._is_text_encoding  # `hex` and the like turn bytes to bytes
    except (LookupError, ValueError):
        is_known = False
    if not is_known or name.lower() in ("idna", "punycode", "undefined"):
        raise ValueError(f"{name!r} is no encoding; latin-1, cp1252 and utf-16 are some")
    return name


def one_character(delimiter: str) -> str:
    """What separates fields: one character, or a tab by its name; ValueError for anything else."""
    if delimiter in ("tab", "\\t"):
        return "\t"
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ValueError(f"{delimiter!r} is not one character (a tab may be written: tab)")
    return delimiter
