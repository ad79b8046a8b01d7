"""The size of a model and where its weights come from: what can be known without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from spam_gpt2.common.files import InputError, read_json

VOCABULARY_FILES = ("encoder.json", "vocab.bpe")
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class GPT2Config:
    """The five numbers of OpenAI's `hparams.json`, under OpenAI's names.

    The letters are those that shapes have in `model.py`.
    """

    n_vocab: int  # V
    n_ctx: int  # C
    n_embd: int  # D
    n_head: int  # H
    n_layer: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"hparams: {name} must be a whole number above 0, not {value!r}")
        if self.n_embd % self.n_head:
            raise InputError(
                f"hparams: n_embd {self.n_embd} is not a multiple of n_head {self.n_head}"
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


def read_config(weights_dir: Path) -> tuple[GPT2Config, Origin]:
    """Size and origin of the weights in a folder, without reading the weights."""
    path = weights_dir / CONFIG_FILE
    values = read_json(path)
    try:
        return GPT2Config(**values["hparams"]), Origin(values["name"], values["weights_sha256"])
    except (KeyError, TypeError):
        raise InputError(f"{path}: not a config of convert_gpt2; run `dvc repro`") from None
