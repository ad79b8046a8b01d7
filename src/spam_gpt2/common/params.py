"""The parameters: `params.yaml`, read and checked whole before any work starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from spam_gpt2.common.blocks import BLOCKS, trainable_blocks
from spam_gpt2.common.console import one_line_errors
from spam_gpt2.common.files import InputError
from spam_gpt2.common.folding import Folds
from spam_gpt2.common.message_files import Columns, Form
from spam_gpt2.common.validation import (
    Digest,
    Float,
    Label,
    Labels,
    Section,
    Seed,
    describe_error,
    shown,
)
from spam_gpt2.common.yaml_files import read_yaml

PARAMS_PATH = Path("params.yaml")

# Upper bounds are far beyond what anyone trains on one machine: what is above them is a mistake.
Count = Annotated[int, Field(ge=1, le=100_000)]
Cost = Annotated[Float, Field(gt=0, le=1e9)]
Share = Annotated[Float, Field(ge=0.001, le=0.999)]
Source = Annotated[str, Field(min_length=1, max_length=4096)]
Position = Literal["last_token", "last_padded", "first_token", "mean_tokens", "mean_padded"]
Sources = Annotated[list[Source], Field(min_length=1, max_length=100)]


class ComputeSettings(Section):
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["float32", "bfloat16"]
    threads: Count | None
    processes: Annotated[int, Field(ge=1, le=1024)] | None = None


class DownloadData(Section):
    sources: Sources


class Prepare(Form):
    path: Source
    feedback: Literal["data/feedback.csv"] | None  # the file that `deps` in dvc.yaml names
    columns: Columns | None
    encoding: Annotated[str, Field(max_length=100)] | None
    delimiter: Annotated[str, Field(max_length=10)] | None
    quoting: Literal["none", "default"] | None
    labels: Labels | None
    duplicates: Literal["together", "campaign", "keep", "drop"]
    campaign_similarity: Annotated[Float, Field(ge=0.3, le=1)]
    balance: bool
    stratify: bool
    order: Literal["random", "file"]
    train: Share
    validation: Share
    seed: Seed

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_words(cls, labels: Any) -> Any:
        for label in labels if isinstance(labels, list) else []:
            if not isinstance(label, str):
                raise ValueError(
                    f"to YAML, {shown(label)} is no text (nor are yes, no, on and off): write it "
                    'in quotes, as in ["0", "1"]'
                )
            if label != label.strip():
                raise ValueError(f"blanks around {shown(label)}: labels are read without them")
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
    sources: Sources
    fallback: Literal["gpt2-mini"] | None
    verify: bool


class Classifier(Section):
    position: Position
    max_length: Annotated[int, Field(ge=1, le=2**20)] | Literal["context"] | None
    causal: bool
    fold: Folds | None
    init: Literal["pretrained", "random"]
    init_seed: Seed


class ExtractFeatures(Section):
    batch_tokens: Annotated[int, Field(ge=1, le=2**20)]


class Finetune(Section):
    trainable: Annotated[str, Field(max_length=50)]
    lora_rank: Annotated[int, Field(ge=1, le=4096)]
    lora_alpha: Annotated[Float, Field(gt=0, le=1e6)]
    recipe: Literal["own", "book"]
    reuse_frozen: bool
    learning_rate: Annotated[Float, Field(gt=0, le=1e30)]  # what diverges is told
    weight_decay: Annotated[Float, Field(ge=0, le=1000)]
    batch_size: Count
    accumulation_steps: Count
    ignore_index: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None
    epochs: Count
    keep: Literal["last", "best"]
    log_every: Count
    checkpoint_every: Count
    seed: Seed

    @field_validator("trainable")
    @classmethod
    def _is_known(cls, value: str) -> str:
        trainable_blocks(value, 10**3)  # how many the model has is checked with its size
        return value


class Evaluate(Section):
    confidence: Annotated[Float, Field(ge=0.01, le=0.9999)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Seed


class Baseline(Section):
    ngrams: Annotated[int, Field(ge=1, le=20)]
    inverse_regularization: Annotated[Float, Field(gt=0, le=1e9)]


class Costs(Section):
    """Of two kinds of mistake, in any unit: a missed positive (spam), a blocked negative (ham)."""

    missed: Cost
    blocked: Cost


class Calibrate(Section):
    prevalence: Annotated[Float, Field(ge=0.0001, le=0.9999)] | Literal["data"] | None
    false_positive_rate: Annotated[Float, Field(ge=0, lt=1)]
    costs: Costs | None
    unsure: Cost | None
    bins: Annotated[int, Field(ge=2, le=1000)]

    @model_validator(mode="after")
    def _unsure_pays(self) -> Calibrate:
        if self.unsure is None:
            return self
        if self.costs is None:
            raise ValueError(
                f"unsure {self.unsure:g} is a cost beside those of costs, which is null: set both"
            )
        missed, blocked = self.costs.missed, self.costs.blocked
        most = missed * blocked / (missed + blocked)
        if self.unsure >= most:
            raise ValueError(
                f"unsure {self.unsure:g} never pays: with these costs a guess costs at most "
                f"{most:.4g}; set it below that, or to null"
            )
        return self


class Robustness(Section):
    word_share: Annotated[Float, Field(ge=0, le=1)]
    letter_share: Annotated[Float, Field(ge=0, le=1)]
    seed: Seed


class External(Form):
    """Further labelled messages, on which nothing is trained."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
    path: Source | None = None
    url: Source | None = None
    sha256: Digest | None = None  # of the file at path or url
    member: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    map: Annotated[dict[Label, Label], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> External:
        if (self.path is None) == (self.url is None):
            raise ValueError(f"{self.name}: either a path or a url")
        if self.url and self.sha256 is None:
            raise ValueError(f"{self.name}: a url needs the sha256 of what it serves")
        return self


def _names_differ(files: list[External]) -> list[External]:
    if len({file.name for file in files}) < len(files):
        raise ValueError("two of them have the same name")
    return files


class Explain(Section):
    mistakes: Count
    tokens: Count


class LearningCurve(Section):
    sizes: Annotated[
        list[Annotated[int, Field(ge=1, le=10**7)]], Field(min_length=1, max_length=100)
    ]
    repeats: Annotated[int, Field(ge=1, le=1000)]
    seed: Seed


class CrossValidate(Section):
    folds: Annotated[int, Field(ge=2, le=1000)]
    repeats: Annotated[int, Field(ge=1, le=1000)]
    group: Literal["none", "text", "campaign"]
    seed: Seed


class Track(Section):
    enabled: bool
    live: bool
    experiment: Annotated[str, Field(min_length=1, max_length=250)]


class Params(Section):
    """All of `params.yaml`, one section a stage; the file itself says what each key means."""

    compute: ComputeSettings
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
    external: Annotated[list[External], Field(max_length=100), AfterValidator(_names_differ)]
    explain: Explain
    learning_curve: LearningCurve
    cross_validate: CrossValidate
    track: Track

    @model_validator(mode="after")
    def _enough_blocks(self) -> Params:
        try:
            trainable_blocks(self.finetune.trainable, BLOCKS[self.fetch_gpt2.size])
        except ValueError as error:
            raise ValueError(f"finetune.trainable: {error}") from None
        return self


def fitting_blocks(trainable: str, n_layer: int) -> int:
    """`trainable_blocks` of the model at hand; InputError when it has too few."""
    try:
        return trainable_blocks(trainable, n_layer)
    except ValueError as error:
        raise InputError(f"{PARAMS_PATH}: finetune.trainable: {error}") from None


def check_ignore_index(
    ignore_index: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None, n_classes: int
) -> None:
    """Refuse to leave a class out of the loss: nobody means that by `finetune.ignore_index`."""
    if ignore_index is not None and 0 <= ignore_index < n_classes:
        raise InputError(
            f"{PARAMS_PATH}: finetune.ignore_index: {ignore_index} is a class; the loss would "
            "leave out its messages"
        )


def load_params(path: Path = PARAMS_PATH) -> Params:
    """Read and check the file. Raises InputError: one line that names the first wrong key."""
    return check_params(read_yaml(path), path)


def check_params(values: Any, path: Path = PARAMS_PATH) -> Params:
    """Check values that were read already; InputError as in `load_params`."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {describe_error(error)}") from None


def main() -> None:
    """Check the parameters of this folder, before DVC reads them."""
    with one_line_errors():
        load_params()


if __name__ == "__main__":
    main()
