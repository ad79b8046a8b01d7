"""GPT-2 in one file: the architecture of Radford et al. 2019, written to be read.

Legend for the shapes in trailing comments:

    N  tokens of all messages in a batch, end to end      V  tokens in the vocabulary
    B  messages in a batch                                C  context length, in tokens
    T  tokens in a message                                D  width of the residual stream
    K  classes                                            H  attention heads

Messages lie end to end without padding, (N, D): all but attention looks at one token at a time, and
attention is told by `runs` where messages begin.

Names of modules follow OpenAI's checkpoint (`wte`, `wpe`, `h`, `ln_1`, `attn.c_attn`, ...), so
that a weight can be followed from the file to the line that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.attention import attend
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.mapped import release
from spam_gpt2.gpt2.ragged import Runs, pad_runs, pick_one, positions_of, split_messages

PADDED = 64  # messages that are padded together: few enough to stay in the cache
ROUNDED = 32  # tokens to whose multiples they are padded: oneDNN makes a kernel for every length


class Linear(nn.Linear):
    """torch's, without its initial draw: weights are loaded, or drawn by `init_weights`.

    Its product can be computed in another type than float32, while trained weights stay float32.
    """

    compute_dtype: torch.dtype | None = None  # None: that of the weights

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""

    def compute_in(self, dtype: torch.dtype) -> None:
        """Round inputs and weights to a type before they are multiplied; frozen ones at once."""
        self.compute_dtype = dtype
        if not self.weight.requires_grad:
            as_loaded = self.weight.data
            self.to(dtype)
            release(as_loaded)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), of the type that it computes in."""
        dtype = self.compute_dtype or self.weight.dtype
        return F.linear(x.to(dtype), self.weight.to(dtype), self.bias.to(dtype))


class Embedding(nn.Embedding):
    """torch's, without its initial draw, as above."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention over `n_head` heads (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = Linear(config.n_embd, 3 * config.n_embd)  # query, key and value at once
        self.c_proj = Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, runs: Runs, causal: bool) -> Tensor:
        """Attend from every token to its message, or with `causal` to what came before: (N, D)."""
        qkv = self.c_attn(x)  # (N, 3D)
        return self.c_proj(attend(qkv, runs, self.n_head, causal))  # (N, D)

    def from_one(self, x: Tensor, norm: nn.LayerNorm, runs: Runs, at: int, causal: bool) -> Tensor:
        """The norm, and the same for the first (`at` 0) or last (-1) token of each message.

        (N, D), before the norm, to (B, D). With one query a message, no key or value need be
        computed, nor the norm's gain g and bias c applied to every token. For head h with the
        weights Wq, Wk, Wv, and z_j the token j less its mean and divided by its deviation:

            q . (Wk (g z_j + c) + bk)       = (g Wk' q) . z_j + a constant, which softmax ignores
            sum_j p_j (Wv (g z_j + c) + bv) = Wv (g sum_j p_j z_j + c) + bv, as the p_j sum to 1

        so that the products with weights cost O(D^2) a message instead of O(T D^2), and no gradient
        goes through tokens that need none, as those of cached features.
        """
        H, D = self.n_head, x.shape[1]
        dtype = self.c_attn.compute_dtype or self.c_attn.weight.dtype
        w_q, w_k, w_v = self.c_attn.weight.to(dtype).split(D)  # each (D, D)
        b_q, _, b_v = self.c_attn.bias.to(dtype).split(D)
        z = F.layer_norm(x, (D,), eps=norm.eps)  # (N, D)
        picked = pick_one(z, runs, at)  # (B, D)
        if causal and at == 0:  # sees nothing but itself
            z, runs = picked, [(len(picked), 1)]
        asking = picked * norm.weight + norm.bias  # (B, D)
        q = F.linear(asking.to(dtype), w_q, b_q) * (D // H) ** -0.5  # (B, D)
        heads = (H, D // H, D)
        u = torch.einsum("bhe,hed->bhd", q.unflatten(1, heads[:2]), w_k.view(heads))  # (B, H, D)
        pooled = self._pool((u * norm.weight).to(dtype), z.to(dtype), runs)  # (B, H, D)
        pooled = (pooled * norm.weight + norm.bias).to(dtype)
        y = torch.einsum("bhd,hed->bhe", pooled, w_v.view(heads)).flatten(1) + b_v
        return self.c_proj(y)  # (B, D)

    def _pool(self, u: Tensor, z: Tensor, runs: Runs) -> Tensor:
        """The mean of each message's tokens, weighted by the softmax of u . z_j: (B, H, D)."""
        pooled = []
        parts = split_messages(z, runs, PADDED)
        for asking, part in zip(u.split(PADDED), parts, strict=True):
            padded, is_token = pad_runs(*part, ROUNDED)  # (b, T, D), (b, T)
            scores = asking @ padded.transpose(1, 2)  # (b, H, T)
            p = scores.masked_fill(~is_token[:, None], float("-inf")).softmax(dim=2)
            pooled.append(p @ padded)
        return torch.cat(pooled)


class FeedForward(nn.Module):
    """Position-wise feed-forward network, four times as wide inside, with GELU.

    GELU is the tanh approximation of Hendrycks & Gimpel 2016, as OpenAI trained with it.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """Any number of tokens, each by itself: (..., D) to (..., D)."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """A pre-norm transformer block: attention, then feed-forward, each added to its input."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.attn = MultiHeadAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, runs: Runs, causal: bool) -> Tensor:
        """Every token: (N, D) to (N, D)."""
        x = x + self.attn(self.ln_1(x), runs, causal)
        return x + self.mlp(self.ln_2(x))

    def from_one(self, x: Tensor, runs: Runs, at: int, causal: bool) -> Tensor:
        """The first (`at` 0) or last (-1) token of each message alone: (N, D) to (B, D)."""
        attended = self.attn.from_one(x, self.ln_1, runs, at, causal)
        x = pick_one(x, runs, at) + attended
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """Token and position embeddings, the blocks, the final norm and the output head.

    A new one has no meaningful weights: see `gpt2_from_weights` and `init_weights`.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.wte = Embedding(config.n_vocab, config.n_embd)
        self.wpe = Embedding(config.n_ctx, config.n_embd)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=1e-5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Next-token logits at every position: (B, T) of int64 to (B, T, V)."""
        runs = [tuple(tokens.shape)]
        x = self.ln_f(self.run_blocks(self.embed(tokens.flatten(), runs), runs))  # (B T, D)
        logits = F.linear(x, self.wte.weight)  # the output head is tied to wte
        return logits.unflatten(0, tokens.shape)  # (B, T, V)

    def embed(self, tokens: Tensor, runs: Runs) -> Tensor:
        """Token plus position embeddings: (N,) to (N, D).

        Raises: InputError when a message is longer than the context.
        """
        longest = max(length for _, length in runs)
        if longest > self.config.n_ctx:
            raise InputError(f"{longest} tokens do not fit the context of {self.config.n_ctx}")
        return self.wte(tokens) + self.wpe(positions_of(runs).to(tokens.device))

    def run_blocks(
        self, x: Tensor, runs: Runs, first: int = 0, last: int | None = None, causal: bool = True
    ) -> Tensor:
        """Blocks `first` to `last` (not included), every token: (N, D) to (N, D)."""
        for block in self.h[first:last]:
            x = block(x, runs, causal)
        return x


def init_weights(model: GPT2, seed: int) -> None:
    """Draw GPT-2's initial weights in place: normal with deviation 0.02, as OpenAI's code does.

    The two projections that write into the residual stream are scaled by 1 / sqrt(2 n_layer)
    (Radford et al. 2019, section 2.3).
    """
    generator = torch.Generator().manual_seed(seed)
    residual_std = 0.02 / (2 * model.config.n_layer) ** 0.5
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif ".ln_" in name or name.startswith("ln_f"):
                parameter.fill_(1.0)
            else:
                std = residual_std if name.endswith("c_proj.weight") else 0.02
                parameter.normal_(0.0, std, generator=generator)


def expected_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of a model of this size."""
    with torch.device("meta"):
        return {name: tuple(p.shape) for name, p in GPT2(config).named_parameters()}


def check_weights(
    config: GPT2Config, weights: Mapping[str, Tensor], place: object = "weights"
) -> None:
    """Raises: InputError naming the first tensor that is missing, left over, or that does not fit.

    Args:
        place: where they come from, for the error.
    """
    expected = expected_shapes(config)
    for name in sorted(expected.keys() ^ weights.keys()):
        state = "missing" if name in expected else "not one of GPT-2's"
        raise InputError(f"{place}: tensor {name} is {state}")
    for name, shape in expected.items():
        found = tuple(weights[name].shape)
        if found != shape:
            raise InputError(f"{place}: tensor {name} has shape {found}, expected {shape}")
        if weights[name].dtype != torch.float32:
            raise InputError(f"{place}: tensor {name} is {weights[name].dtype}, expected float32")


def gpt2_from_weights(config: GPT2Config, weights: Mapping[str, Tensor]) -> GPT2:
    """A model that uses the given tensors as they are, without a copy (they may be memory-mapped).

    Raises: InputError as `check_weights` does.
    """
    check_weights(config, weights)
    with torch.device("meta"):
        model = GPT2(config)
    model.load_state_dict(dict(weights), assign=True)
    return model
