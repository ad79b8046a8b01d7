"""What one would run instead: fine-tuning with transformers' model."""

from __future__ import annotations

import torch
from recipes import EPOCHS, Data, Setting
from torch import Tensor
from transformers import GPT2Config as HFConfig
from transformers import GPT2ForSequenceClassification

from spam_gpt2.gpt2.model import GPT2


class TransformersLoop:
    """`GPT2ForSequenceClassification`, padded to the longest of each batch.

    Validation is looked at after each epoch, and test at the end.
    """

    name = "transformers"

    def __init__(
        self, gpt2: GPT2, trainable: str, blocks: int, data: Data, setting: Setting
    ) -> None:
        torch.manual_seed(123)
        self.setting = setting
        self.model = hf_classifier(gpt2).to(setting.device)
        self.data = data
        self.model.requires_grad_(trainable == "all")
        self.model.score.requires_grad_(True)
        if blocks:
            self.model.transformer.ln_f.requires_grad_(True)
            self.model.transformer.h[gpt2.config.n_layer - blocks :].requires_grad_(True)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.1)

    def logits(self, chosen: list[list[int]]) -> Tensor:
        """(B, K) at the last real token, which transformers finds by the padding's id."""
        longest = max(map(len, chosen))
        padded = [tokens + [self.data.filler] * (longest - len(tokens)) for tokens in chosen]
        mask = [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in chosen]
        tokens, mask = (torch.tensor(t, device=self.setting.device) for t in (padded, mask))
        with self.setting.autocast():
            return self.model(tokens, attention_mask=mask).logits

    def looks(self) -> int:
        """Batches that are looked at over the whole of the training."""
        return EPOCHS * self.data.batches("validation") + self.data.batches("test")


def hf_classifier(gpt2: GPT2) -> GPT2ForSequenceClassification:
    """Our weights in transformers' model; its projections keep (in, out), ours (out, in)."""
    c = gpt2.config
    config = HFConfig(
        vocab_size=c.n_vocab, n_positions=c.n_ctx, n_embd=c.n_embd, n_layer=c.n_layer,
        n_head=c.n_head, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, num_labels=2,
        pad_token_id=c.n_vocab - 1,
    )  # fmt: skip
    model = GPT2ForSequenceClassification(config)
    weights = {}
    for name, tensor in gpt2.state_dict().items():
        is_projection = name.startswith("h.") and ".ln_" not in name and tensor.ndim == 2
        weights[f"transformer.{name}"] = tensor.t() if is_projection else tensor
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert missing == ["score.weight"], missing
    assert not unexpected, unexpected
    return model
