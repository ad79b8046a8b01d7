"""transformers' GPT-2 with the weights of ours: what logits are checked against."""

from __future__ import annotations

from torch import Tensor
from transformers import GPT2Config as ReferenceConfig
from transformers import GPT2LMHeadModel, GPT2Model

from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.model import GPT2


def reference_model(gpt2: GPT2) -> GPT2Model:
    """The blocks and the final norm, without an output head."""
    model = GPT2Model(reference_config(gpt2.config))
    model.load_state_dict(reference_weights(gpt2))
    return model.eval()


def reference_language_model(gpt2: GPT2) -> GPT2LMHeadModel:
    """The whole, with the output head tied to the token embeddings."""
    model = GPT2LMHeadModel(reference_config(gpt2.config))
    weights = {f"transformer.{name}": weight for name, weight in reference_weights(gpt2).items()}
    model.load_state_dict(weights | {"lm_head.weight": weights["transformer.wte.weight"]})
    return model.eval()


def reference_config(config: GPT2Config) -> ReferenceConfig:
    """The same size, in transformers' words."""
    return ReferenceConfig(
        vocab_size=config.n_vocab,
        n_positions=config.n_ctx,
        n_embd=config.n_embd,
        n_head=config.n_head,
        n_layer=config.n_layer,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )


def reference_weights(gpt2: GPT2) -> dict[str, Tensor]:
    """Linear keeps (out, in), transformers' Conv1D (in, out)."""
    return {
        name: weight.T if name.startswith("h.") and weight.ndim == 2 else weight
        for name, weight in gpt2.state_dict().items()
    }
