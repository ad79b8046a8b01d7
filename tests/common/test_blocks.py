"""How many blocks `finetune.trainable` names, and that the table of sizes is right."""

from __future__ import annotations

import pytest

from spam_gpt2.common.blocks import BLOCKS, trainable_blocks
from spam_gpt2.gpt2.sources import SIZES


def test_blocks_of_the_sizes_are_those_of_the_checkpoints() -> None:
    assert {name: config.n_layer for name, config in SIZES.items()} == BLOCKS


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("head_only", 0), ("last_block", 1), ("last_two_blocks", 2), ("last_5_blocks", 5),
     ("last_12_blocks", 12), ("all", 12)],
)  # fmt: skip
def test_how_many_blocks_a_name_means(name: str, blocks: int) -> None:
    assert trainable_blocks(name, 12) == blocks
