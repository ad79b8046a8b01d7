"""GPT-2 with a classification head: which output decides, and which parameters are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.ragged import Runs, runs_of, split_runs


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

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.head.weight.device

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Class logits the plain way, every token through everything: (B, T) to (B, K).

        This is what tutorials do, kept to check the fast path (`below` and `above`) against.
        Messages are padded on the right; no token looks at the padding behind it, save without a
        causal mask, when the padding is taken out.
        """
        places = torch.arange(tokens.shape[1], device=tokens.device)
        is_token = places < lengths[:, None]  # (B, T)
        keep = torch.ones_like(is_token) if self.causal else is_token
        runs = runs_of(keep.sum(1).tolist())
        x = self.gpt2.run_blocks(self.gpt2.embed(tokens[keep], runs), runs, causal=self.causal)
        every = self.head(self.gpt2.ln_f(x))  # (N, K)
        logits = every.new_zeros(*tokens.shape, every.shape[1])
        logits[keep] = every
        if self.position.startswith("mean_"):
            return (logits * is_token[..., None]).sum(1) / lengths[:, None]
        decides_at = torch.zeros_like(lengths) if self.position == "first_token" else lengths - 1
        return logits[torch.arange(len(tokens), device=tokens.device), decides_at]

    def below(self, tokens: Tensor, runs: Runs, cut: int) -> Tensor:
        """What enters block `cut`, (N,) to (N, D); at n_layer the head's input, (B, D)."""
        x = self.gpt2.embed(tokens, runs)
        if cut == self.gpt2.config.n_layer:
            return self._pooled(x, runs, 0)
        return self.gpt2.run_blocks(x, runs, 0, cut, self.causal)

    def above(self, x: Tensor, runs: Runs, cut: int) -> Tensor:
        """Class logits from what `below` gives for the same cut: (N, D), or (B, D), to (B, K)."""
        x = x.to(self.head.weight.dtype)  # features may be stored in half of it
        pooled = x if cut == self.gpt2.config.n_layer else self._pooled(x, runs, cut)
        return self.head(pooled)

    def _pooled(self, x: Tensor, runs: Runs, first: int) -> Tensor:
        """Blocks from `first` on and the final norm, for what decides: (N, D) to (B, D).

        In the last block only the deciding token is computed: nothing reads the others.
        """
        if self.position.startswith("mean_"):
            x = self.gpt2.ln_f(self.gpt2.run_blocks(x, runs, first, None, self.causal))
            return torch.cat([messages.mean(1) for messages in split_runs(x, runs)])
        x = self.gpt2.run_blocks(x, runs, first, -1, self.causal)
        at = 0 if self.position == "first_token" else -1
        return self.gpt2.ln_f(self.gpt2.h[-1].from_one(x, runs, at, self.causal))


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
