"""Tiny models and data that tests share; nothing here needs the internet."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiktoken
import torch
from hypothesis import settings

from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.tf_checkpoint import write_checkpoint
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import random_gpt2

ROOT = Path(__file__).parent.parent
MINI_DIR = ROOT / "models/gpt2-mini"
TINY = GPT2Config(n_vocab=4096, n_ctx=64, n_embd=32, n_head=4, n_layer=3)

# How long an example takes says more about the machine than about the code. The same examples at
# each run: a test that fails then says something about the change. `make faults` draws others.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("drawn", deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def tokenizer() -> tiktoken.Encoding:
    """The stand-in's vocabulary of 4,096 tokens."""
    return load_tokenizer(MINI_DIR)


@pytest.fixture
def tiny_gpt2() -> GPT2:
    """Three blocks, 32 wide, random weights that are large enough to make differences show."""
    model = random_gpt2(TINY, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


@pytest.fixture(scope="session")
def tiny_checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OpenAI's seven files with the random weights of a tiny model. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    weights = {name: p.detach().numpy() for name, p in random_gpt2(TINY, 1).named_parameters()}
    write_checkpoint(folder, TINY, weights, MINI_DIR)
    return folder
