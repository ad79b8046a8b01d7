"""GPT-2 with a classification head: which output decides, and which parameters are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spam_gpt2.model import GPT2, attention_mask, query_mask


class GPT2Classifier(nn.Module):
    """GPT-2 whose output head is replaced by one with as many outputs as there are classes.

    The model can be cut below block `cut`: what lies below is frozen and runs once for each message
    (`below`), what lies above is trained (`above`). A cut of n_layer is just below the head.
    """

    def __init__(self, gpt2: GPT2, n_classes: int, position: str, causal: bool = True) -> None:
        """`position` and `causal` as in `classifier` of params.yaml; the head draws from torch's
        global generator, as `nn.Linear` does."""
        super().__init__()
        self.gpt2 = gpt2
        self.head = nn.Linear(gpt2.config.n_embd, n_classes)
        self.position = position
        self.causal = causal

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Class logits the plain way, every position through everything: (B, T) to (B, K).

        This is what tutorials do, kept to check the fast path (`below` and `above`) against.
        """
        x = self.gpt2.embed(tokens)
        x = self.gpt2.run_blocks(x, attention_mask(lengths, tokens.shape[1], self.causal))
        logits = self.head(self.gpt2.ln_f(x))  # (B, T, K)
        if self.position == "mean_tokens":
            return _mean_over_tokens(logits, lengths)
        return logits[torch.arange(len(tokens)), self._decides_at(lengths)]

    def below(self, tokens: Tensor, lengths: Tensor, cut: int) -> Tensor:
        """What enters block `cut`, (B, T) to (B, T, D); at n_layer the head's input, (B, 1, D)."""
        x = self.gpt2.embed(tokens)
        if cut == self.gpt2.config.n_layer:
            return self._pooled(x, lengths, 0)[:, None]
        return self.gpt2.run_blocks(x, attention_mask(lengths, x.shape[1], self.causal), 0, cut)

    def above(self, x: Tensor, lengths: Tensor, cut: int) -> Tensor:
        """Class logits from what enters block `cut`: (B, T, D) to (B, K).

        Args:
            x: `below` of the same cut, (B, T, D), or (B, 1, D) at n_layer; padded on the right.
            lengths: tokens of each message, (B,); unused at n_layer.
        """
        if cut == self.gpt2.config.n_layer:
            return self.head(x[:, 0])
        return self.head(self._pooled(x, lengths, cut))

    def _pooled(self, x: Tensor, lengths: Tensor, first: int) -> Tensor:
        """Blocks from `first` on and the final norm, at the deciding position: (B, T, D) to (B, D).

        In the last block only the query of that position is computed: nothing reads the others.
        """
        T = x.shape[1]
        mask = attention_mask(lengths, T, self.causal)
        if self.position == "mean_tokens":
            x = self.gpt2.ln_f(self.gpt2.run_blocks(x, mask, first))
            return _mean_over_tokens(x, lengths)
        x = self.gpt2.run_blocks(x, mask, first, -1)
        query_at = self._decides_at(lengths)
        x = self.gpt2.h[-1](x, query_mask(query_at, lengths, T, self.causal), query_at)
        return self.gpt2.ln_f(x)[:, 0]

    def _decides_at(self, lengths: Tensor) -> Tensor:
        return torch.zeros_like(lengths) if self.position == "first_token" else lengths - 1


def _mean_over_tokens(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the real tokens: (B, T, D) to (B, D). The head is linear, so it may come after."""
    is_token = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    return (x * is_token[..., None]).sum(1) / lengths[:, None]


def set_trainable(classifier: GPT2Classifier, trainable: str, blocks: int) -> None:
    """Freeze all but the head, the last `blocks` blocks and the final norm.

    With `head_only` the final norm is frozen too; with `all` nothing is.
    """
    gpt2 = classifier.gpt2
    classifier.requires_grad_(trainable == "all")
    classifier.head.requires_grad_(True)
    if blocks:
        gpt2.ln_f.requires_grad_(True)
        gpt2.h[gpt2.config.n_layer - blocks :].requires_grad_(True)


def trained_tensors(classifier: GPT2Classifier) -> dict[str, Tensor]:
    """Name and tensor of every trainable parameter."""
    return {name: p for name, p in classifier.named_parameters() if p.requires_grad}
