"""The size of a model and where its weights come from: what can be known without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from spam_gpt2.common.files import InputError
from spam_gpt2.common.validation import STRICT, Digest, Name, read_checked

VOCABULARY_FILES = ("encoder.json", "vocab.bpe")
CONFIG_FILE = "config.json"
# Several times OpenAI's largest: beyond this, a file is damaged or means harm, and would have
# gigabytes allocated before anything else shows it.
MOST_PARAMETERS = 10**10


@dataclass(frozen=True)
class GPT2Config:
    """The five numbers of OpenAI's `hparams.json`, under OpenAI's names.

    The letters are those that shapes have in `model.py`.
    """

    __pydantic_config__ = STRICT

    n_vocab: Annotated[int, Field(ge=1, le=2**20)]  # V
    n_ctx: Annotated[int, Field(ge=1, le=2**17)]  # C
    n_embd: Annotated[int, Field(ge=1, le=2**15)]  # D
    n_head: Annotated[int, Field(ge=1, le=2**15)]  # H
    n_layer: Annotated[int, Field(ge=1, le=1000)]

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"hparams: {name} must be a whole number above 0, not {value!r}")
        if self.n_embd % self.n_head:
            raise InputError(
                f"hparams: n_embd {self.n_embd} is not a multiple of n_head {self.n_head}"
            )
        if self.n_parameters > MOST_PARAMETERS:
            raise InputError(
                f"hparams: {self.n_parameters:,} parameters in all, more than {MOST_PARAMETERS:,}"
            )

    @property
    def n_parameters(self) -> int:
        """Number of weights, the output head tied to the token embeddings counted once."""
        block = 12 * self.n_embd**2 + 13 * self.n_embd
        embeddings = (self.n_vocab + self.n_ctx) * self.n_embd
        return embeddings + self.n_layer * block + 2 * self.n_embd


@dataclass(frozen=True)
class Origin:
    """Which weights these are: their name, and the SHA-256 of weights.safetensors."""

    name: str
    sha256: str


@dataclass(frozen=True)
class _ConfigFile:
    """What `config.json` holds."""

    __pydantic_config__ = STRICT

    name: Name
    weights_sha256: Digest
    hparams: GPT2Config


def read_config(weights_dir: Path) -> tuple[GPT2Config, Origin]:
    """Size and origin of the weights in a folder, without reading the weights."""
    found = read_checked(weights_dir / CONFIG_FILE, _ConfigFile, "not a config of convert_gpt2")
    return found.hparams, Origin(found.name, found.weights_sha256)
