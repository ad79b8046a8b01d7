"""What a file says, checked by a model: no unknown keys, no guessing at types, errors in words."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from spam_gpt2.common.files import InputError, read_json
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import one_line

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
SHOWN = 60  # characters of a wrong value

# What pydantic puts between keys: the branch of a union or the name of a validator.
BRANCH = re.compile(
    r"(int|str|float|bool|nullable|list\[.*|literal\[.*|constrained-.*|function-.*)"
)
UNKNOWN = "unknown key, misspelt or of another version"
# Any other type of error keeps the library's own words; a test looks that there is none.
WORDING = {
    "extra_forbidden": UNKNOWN,
    "unexpected_keyword_argument": UNKNOWN,
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must hold keys with values",
    "model_type": "must hold keys with values",
    "dataclass_type": "must hold keys with values",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} or fewer entries",
    "string_too_short": "must not be empty",
    "string_too_long": "must have {max_length} or fewer characters",
    "string_pattern_mismatch": "must match {pattern}",
    "value_error": "{error}",
}
WITHOUT_VALUE = ("extra_forbidden", "unexpected_keyword_argument", "missing", "value_error")


class Section(BaseModel):
    """A section of a file: no unknown keys, no guessing at types."""

    model_config = STRICT


def _no_truth(value: Any) -> Any:
    """Python takes true for 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {shown(value)}")
    return value


# YAML 1.1 takes `1e-05`, which DVC writes, for a string: pydantic may turn a string into a float.
Float = Annotated[float, Field(strict=False, allow_inf_nan=False), BeforeValidator(_no_truth)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # SHA-256
# Of weights, and safe wherever it is shown: in Markdown, in a file's name, in a terminal.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,99}$")]
Label = Annotated[str, Field(min_length=1, max_length=1000)]


def _differ(labels: list[str]) -> list[str]:
    if len(set(labels)) < len(labels):
        raise ValueError("a label is listed twice")
    return labels


Labels = Annotated[list[Label], Field(min_length=2, max_length=10_000), AfterValidator(_differ)]


@lru_cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def read_checked(path: Path, kind: Any, what: str, remedy: str = "; run `dvc repro`") -> Any:
    """Read a JSON file and check it against a type: a dataclass or what pydantic takes.

    Args:
        what: what the error says of the file, e.g. `not a plan of this version`.

    Raises: InputError with the file, the first wrong key and why.
    """
    values = read_json(path)
    try:
        return _adapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        reason = describe_error(error)
    except InputError as error:  # of numbers that do not go together
        reason = str(error)
    raise InputError(f"{path}: {what}: {reason}{remedy}")


def describe_error(error: ValidationError) -> str:
    """The first wrong key in a few words; what a union would take is joined by `or`."""
    by_key: dict[str, list[Any]] = {}
    for one in error.errors(include_url=False):
        key = ".".join(str(part) for part in one["loc"] if not BRANCH.fullmatch(str(part)))
        by_key.setdefault(key, []).append(one)
    # A key that is mistyped is also missing under its right name: the typo is what helps.
    unknown = [key for key, found in by_key.items() if _words(found[0]) == UNKNOWN]
    key = (unknown or list(by_key))[0]
    found = by_key[key]
    key = one_line(without_secrets(key))[:SHOWN]  # a stranger's may be anything
    words = list(dict.fromkeys(map(_words, found)))
    message = words[0] + "".join(f" or {other.removeprefix('must be ')}" for other in words[1:])
    if found[0]["type"] not in WITHOUT_VALUE:
        message += f", not {shown(found[0]['input'])}"
    more = f" (and {len(by_key) - 1} more)" if len(by_key) > 1 else ""
    return f"{key}: {message}{more}" if key else f"{message}{more}"


def _words(error: Any) -> str:
    wording = WORDING.get(error["type"])
    return wording.format(**error.get("ctx", {})) if wording else error["msg"]


def shown(value: Any) -> str:
    """A value as YAML and JSON have it, without secrets and cut to what a line has room for."""
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"a number of more than {SHOWN} digits"
    simple = value is None or isinstance(value, str | int | float)
    text = without_secrets(json.dumps(value, ensure_ascii=False) if simple else str(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
