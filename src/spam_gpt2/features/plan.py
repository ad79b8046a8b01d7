"""What features depend on, worked out beforehand: parameters with the same plan share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from spam_gpt2.common.files import InputError, write_json
from spam_gpt2.common.folding import Folds
from spam_gpt2.common.params import Params, Position, fitting_blocks
from spam_gpt2.common.validation import STRICT, Seed, read_checked
from spam_gpt2.gpt2.config import GPT2Config

PLAN_PATH = Path("data/features/plan.json")


@dataclass(frozen=True)
class Plan:
    """How messages are cut, and what is computed of them before anything is trained."""

    __pydantic_config__ = STRICT

    cut: Annotated[int, Field(ge=0)]  # the first block that is trained; see `GPT2Classifier`
    max_length: Annotated[int, Field(ge=1)]  # tokens
    pad: bool  # whether messages are filled up to max_length
    causal: bool
    init: Literal["pretrained", "random"]
    init_seed: Seed | None  # null: the weights are not random
    position: Position | None  # which output decides; null where the features do not depend on it
    fold: Folds = field(default_factory=list)  # what is undone in a text before it is tokenised


def make_plan(params: Params, n_layer: int, n_ctx: int, longest: Callable[[], int]) -> Plan:
    """What the parameters come to for a model with `n_layer` blocks and `n_ctx` tokens of context.

    Args:
        longest: the tokens of the longest training message; called only when that matters.

    Raises: InputError when the parameters ask for more blocks or tokens than the model has.
    """
    chosen, finetune = params.classifier, params.finetune
    blocks = fitting_blocks(finetune.trainable, n_layer)
    cut = n_layer - blocks if finetune.reuse_frozen else 0
    pad = chosen.position.endswith("_padded")
    return Plan(
        cut=cut,
        max_length=resolve_max_length(chosen.max_length, pad, n_ctx, longest),
        pad=pad,
        causal=chosen.causal,
        init=chosen.init,
        init_seed=chosen.init_seed if chosen.init == "random" else None,
        position=chosen.position if cut == n_layer else None,
        fold=chosen.fold or [],
    )


def resolve_max_length(
    max_length: int | str | None, pad: bool, n_ctx: int, longest: Callable[[], int]
) -> int:
    """The number of tokens that `classifier.max_length` stands for.

    Null is the context, save when padding, where it is the longest training message.

    Raises: InputError when more is asked for than the model's context.
    """
    if isinstance(max_length, int):
        if max_length > n_ctx:
            raise InputError(
                f"params.yaml: classifier.max_length: {max_length} is more than the context "
                f"of {n_ctx} tokens"
            )
        return max_length
    if max_length == "context" or not pad:
        return n_ctx
    return min(n_ctx, longest())


def save_plan(plan: Plan) -> None:
    """Write the plan; the same plan is the same bytes, so that DVC finds its features again."""
    write_json(PLAN_PATH, asdict(plan))


def load_plan(config: GPT2Config | None = None) -> Plan:
    """Read the plan.

    Raises: InputError when it is missing, of another version, or not for a model of this size.
    """
    plan = read_checked(PLAN_PATH, Plan, "not a plan of this version")
    for key, most in (("cut", "n_layer"), ("max_length", "n_ctx")):
        if config and getattr(plan, key) > getattr(config, most):
            raise InputError(
                f"{PLAN_PATH}: {key}: {getattr(plan, key)} is more than the model's {most} "
                f"{getattr(config, most)}; run `dvc repro`"
            )
    if plan.init == "random" and plan.init_seed is None:
        raise InputError(f"{PLAN_PATH}: init_seed: random weights need one; run `dvc repro`")
    return plan
