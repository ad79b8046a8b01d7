"""GPT-2 124M's size and messages of random tokens, for what runs without data or weights."""

from __future__ import annotations

import random

from spam_gpt2.gpt2.config import GPT2Config

CONFIG = GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)


def invent(count: int, seed: int) -> list[list[int]]:
    """Messages as long as those of the balanced SMS Spam Collection: mean about 31, at most 120."""
    draw = random.Random(seed)
    lengths = [min(120, max(3, round(draw.gammavariate(4, 7.8)))) for _ in range(count)]
    return [draw.choices(range(CONFIG.n_vocab - 1), k=length) for length in lengths]
