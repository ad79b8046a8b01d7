"""Settings and messages for trainings that take no time."""

from __future__ import annotations

import torch
from torch import Tensor

from spam_gpt2.common.params import Finetune
from spam_gpt2.gpt2.batching import Messages

SIGN = 4000  # a token that only the messages of class 1 have


def settings(**changes: object) -> Finetune:
    values = {
        "trainable": "last_block",
        "lora_rank": 2,
        "lora_alpha": 4.0,
        "recipe": "own",
        "reuse_frozen": True,
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "batch_size": 4,
        "accumulation_steps": 1,
        "ignore_index": None,
        "epochs": 2,
        "keep": "last",
        "log_every": 3,
        "checkpoint_every": 100,
        "seed": 123,
    }
    return Finetune(**values | changes)


def toy_messages(count: int, seed: int) -> tuple[Messages, Tensor]:
    """Random tokens of random lengths; every second message has SIGN in front of its last token."""
    generator = torch.Generator().manual_seed(seed)
    tokens, lengths = [], []
    for i in range(count):
        length = int(torch.randint(3, 12, (1,), generator=generator))
        message = torch.randint(SIGN, (length,), generator=generator)
        if i % 2:
            message[-2] = SIGN
        tokens.append(message)
        lengths.append(length)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    return Messages(torch.cat(tokens), offsets, torch.arange(count)), torch.arange(count) % 2
