"""The parameters: `params.yaml`, read and checked whole before any work starts."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)

from spam_gpt2.common.files import InputError

PARAMS_PATH = Path("params.yaml")

# Blocks of the four sizes that OpenAI published (Radford et al. 2019, table 2).
BLOCKS = {"124M": 12, "355M": 24, "774M": 36, "1558M": 48}

# YAML 1.1 takes `1e-05`, which DVC writes, for a string: pydantic may turn a string into a float.
Float = Annotated[float, Field(strict=False, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """A section of `params.yaml`: no unknown keys, no guessing at types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DownloadData(Section):
    sources: Annotated[list[str], Field(min_length=1)]


def _checked_column(value: Any) -> str | int:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if is_number or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError(f"a column is a name, or a number from 1, not {value!r}")


def _checked_columns(value: Any) -> list[str | int]:
    columns = [_checked_column(v) for v in (value if isinstance(value, list) else [value])]
    if not columns:
        raise ValueError("at least one column")
    return columns


class Columns(Section):
    """Where labels and texts stand: names of a header, or numbers from 1."""

    label: Annotated[str | int, PlainValidator(_checked_column)]
    text: Annotated[list[str | int], PlainValidator(_checked_columns)]  # joined where several


class Prepare(Section):
    path: str
    columns: Columns | None
    encoding: str | None
    delimiter: str | None
    quoting: Literal["none", "default"] | None
    labels: Annotated[list[str], Field(min_length=2)] | None
    duplicates: Literal["together", "keep", "drop"]
    balance: bool
    stratify: bool
    train: Annotated[Float, Field(gt=0, lt=1)]
    validation: Annotated[Float, Field(gt=0, lt=1)]
    seed: Seed

    @field_validator("encoding")
    @classmethod
    def _is_a_text_encoding(cls, encoding: str | None) -> str | None:
        return None if encoding is None else text_encoding(encoding)

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str | None) -> str | None:
        return None if delimiter is None else one_character(delimiter)

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_words(cls, labels: Any) -> Any:
        for label in labels if isinstance(labels, list) else []:
            if not isinstance(label, str):
                raise ValueError(
                    f"to YAML, {label!r} is no text (nor are yes, no, on and off): write it in "
                    'quotes, as in ["0", "1"]'
                )
            if label != label.strip():
                raise ValueError(f"blanks around {label!r}: labels are read without them")
        return labels

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[str] | None) -> list[str] | None:
        if labels is not None and len(set(labels)) < len(labels):
            raise ValueError("a label is listed twice")
        return labels

    @model_validator(mode="after")
    def _leaves_a_test_set(self) -> Prepare:
        if self.train + self.validation >= 1 - 1e-9:
            raise ValueError(
                f"train {self.train} + validation {self.validation} must be below 1: "
                "the rest is the test set"
            )
        return self


class FetchGPT2(Section):
    size: Literal["124M", "355M", "774M", "1558M"]
    sources: Annotated[list[str], Field(min_length=1)]
    fallback: Literal["gpt2-mini"] | None
    verify: bool


class Classifier(Section):
    position: Literal["last_token", "last_padded", "first_token", "mean_tokens", "mean_padded"]
    max_length: Count | Literal["context"] | None
    causal: bool
    init: Literal["pretrained", "random"]
    init_seed: Seed


class ExtractFeatures(Section):
    batch_tokens: Count


class Finetune(Section):
    trainable: str
    lora_rank: Count
    lora_alpha: Annotated[Float, Field(gt=0)]
    recipe: Literal["own", "book"]
    reuse_frozen: bool
    learning_rate: Annotated[Float, Field(gt=0)]
    weight_decay: Annotated[Float, Field(ge=0)]
    batch_size: Count
    accumulation_steps: Count
    ignore_index: int | None
    epochs: Count
    log_every: Count
    seed: Seed

    @field_validator("trainable")
    @classmethod
    def _is_known(cls, value: str) -> str:
        trainable_blocks(value, 10**3)  # how many the model has is checked with its size
        return value


class Evaluate(Section):
    confidence: Annotated[Float, Field(gt=0, lt=1)]
    resamples: Annotated[int, Field(ge=100)]
    seed: Seed


class Baseline(Section):
    ngrams: Count
    inverse_regularization: Annotated[Float, Field(gt=0)]


class Calibrate(Section):
    false_positive_rate: Annotated[Float, Field(ge=0, lt=1)]
    bins: Annotated[int, Field(ge=2)]


class Robustness(Section):
    word_share: Annotated[Float, Field(ge=0, le=1)]
    letter_share: Annotated[Float, Field(ge=0, le=1)]
    seed: Seed


class Explain(Section):
    mistakes: Count
    tokens: Count


class LearningCurve(Section):
    sizes: Annotated[list[Count], Field(min_length=1)]
    repeats: Count
    seed: Seed


class Track(Section):
    enabled: bool
    experiment: Annotated[str, Field(min_length=1)]


class Params(Section):
    """All of `params.yaml`, one section a stage; the file itself says what each key means."""

    download_data: DownloadData
    prepare: Prepare
    fetch_gpt2: FetchGPT2
    classifier: Classifier
    extract_features: ExtractFeatures
    finetune: Finetune
    evaluate: Evaluate
    baseline: Baseline
    calibrate: Calibrate
    robustness: Robustness
    explain: Explain
    learning_curve: LearningCurve
    track: Track

    @model_validator(mode="after")
    def _enough_blocks(self) -> Params:
        try:
            trainable_blocks(self.finetune.trainable, BLOCKS[self.fetch_gpt2.size])
        except ValueError as error:
            raise ValueError(f"finetune.trainable: {error}") from None
        return self


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


def trainable_blocks(trainable: str, n_layer: int) -> int:
    """How many blocks at the end are trained; ValueError when unknown or more than there are.

    `head_only` is 0, `last_block` 1, `last_2_blocks` 2 and so on; `all` and `lora` are n_layer.
    """
    fixed = {
        "head_only": 0, "last_block": 1, "last_two_blocks": 2, "all": n_layer, "lora": n_layer
    }  # fmt: skip
    match = re.fullmatch(r"last_([1-9][0-9]{0,2})_blocks", trainable)
    if trainable not in fixed and not match:
        raise ValueError(
            f"{trainable!r} is not one of head_only, last_block, last_<N>_blocks, all, lora"
        )
    count = int(match[1]) if match else fixed[trainable]
    if count > n_layer:
        raise ValueError(f"{trainable!r} asks for {count} blocks, but the model has {n_layer}")
    return count


def fitting_blocks(trainable: str, n_layer: int) -> int:
    """`trainable_blocks` of the model at hand; InputError when it has too few."""
    try:
        return trainable_blocks(trainable, n_layer)
    except ValueError as error:
        raise InputError(f"{PARAMS_PATH}: finetune.trainable: {error}") from None


def check_ignore_index(ignore_index: int | None, n_classes: int) -> None:
    """Refuse to leave a class out of the loss: nobody means that by `finetune.ignore_index`."""
    if ignore_index is not None and 0 <= ignore_index < n_classes:
        raise InputError(
            f"{PARAMS_PATH}: finetune.ignore_index: {ignore_index} is a class; the loss would "
            "leave out its messages"
        )


def load_params(path: Path = PARAMS_PATH) -> Params:
    """Read and check the file. Raises InputError: one line that names the first wrong key."""
    return check_params(read_yaml(path), path)


def read_yaml(path: Path) -> Any:
    """What a YAML file of the project holds. Raises InputError when it is missing or none."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run this in the project's folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error


def check_params(values: Any, path: Path = PARAMS_PATH) -> Params:
    """Check values that were read already; InputError as in `load_params`."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {describe_error(error)}") from None


def describe_error(error: ValidationError) -> str:
    """The first of the errors in a few words, its key in front."""
    errors = error.errors()
    # A key that is mistyped is also missing under its right name: the typo is what helps.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    branches = ("literal[", "constrained-", "function-", "int", "list[")
    key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(branches))
    wording = {
        "extra_forbidden": "unknown key; see the commented params.yaml for those that exist",
        "missing": "is missing",
    }
    message = wording.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    if first["type"] not in wording | {"value_error": ""}:
        message += f", not {first['input']!r}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{key}: {message}{more}" if key else f"{message}{more}"
