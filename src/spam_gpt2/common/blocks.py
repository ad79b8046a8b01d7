"""How many blocks of GPT-2 are trained: `finetune.trainable` as a number."""

from __future__ import annotations

import re

# Blocks of the four sizes that OpenAI published (Radford et al. 2019, table 2).
BLOCKS = {"124M": 12, "355M": 24, "774M": 36, "1558M": 48}


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
