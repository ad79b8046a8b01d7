"""GPT-2 in one file: the architecture of Radford et al. 2019, written to be read.

Legend for the shapes in trailing comments:

    B  messages in a batch        V  tokens in the vocabulary
    T  tokens in a message        C  context length, the most tokens a message may have
    D  width of the residual      H  attention heads
    Q  query positions (T, or 1)  K  classes

Names of modules follow OpenAI's checkpoint (`wte`, `wpe`, `h`, `ln_1`, `attn.c_attn`, ...), so
that a weight can be followed from the file to the line that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spam_gpt2.files import InputError


@dataclass(frozen=True)
class GPT2Config:
    """The five numbers of OpenAI's `hparams.json`, under OpenAI's names."""

    n_vocab: int  # V
    n_ctx: int  # C
    n_embd: int  # D
    n_head: int  # H
    n_layer: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"hparams: {name} must be a whole number above 0, not {value!r}")
        if self.n_embd % self.n_head:
            raise InputError(
                f"hparams: n_embd {self.n_embd} is not a multiple of n_head {self.n_head}"
            )

    @property
    def n_parameters(self) -> int:
        """Number of weights, the output head tied to the token embeddings counted once."""
        block = 12 * self.n_embd**2 + 13 * self.n_embd
        embeddings = (self.n_vocab + self.n_ctx) * self.n_embd
        return embeddings + self.n_layer * block + 2 * self.n_embd


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention over `n_head` heads (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)  # query, key and value at once
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, mask: Tensor | None, query_at: Tensor | None = None) -> Tensor:
        """Attend from every position, or from one position of each message.

        Args:
            x: residual stream after `ln_1`, (B, T, D).
            mask: which keys each query sees, (B, 1, Q, T) of bool; None is the causal mask.
            query_at: position of the one query of each message, (B,) of int64; None is all.

        Returns: (B, Q, D).
        """
        B, _, D = x.shape
        if query_at is None:
            q, k, v = self.c_attn(x).split(D, dim=2)  # each (B, T, D)
        else:
            weight, bias = self.c_attn.weight, self.c_attn.bias
            q = F.linear(take_positions(x, query_at), weight[:D], bias[:D])  # (B, 1, D)
            k, v = F.linear(x, weight[D:], bias[D:]).split(D, dim=2)  # each (B, T, D)
        q, k, v = (self._split_heads(t) for t in (q, k, v))
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None
        )  # (B, H, Q, D / H)
        return self.c_proj(y.transpose(1, 2).reshape(B, -1, D))  # (B, Q, D)

    def _split_heads(self, t: Tensor) -> Tensor:
        B, T, D = t.shape
        return t.view(B, T, self.n_head, D // self.n_head).transpose(1, 2)  # (B, H, T, D / H)


class FeedForward(nn.Module):
    """Position-wise feed-forward network, four times as wide inside, with GELU.

    GELU is the tanh approximation of Hendrycks & Gimpel 2016, as OpenAI trained with it.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))  # (B, Q, D)


class Block(nn.Module):
    """A pre-norm transformer block: attention, then feed-forward, each added to its input."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.attn = MultiHeadAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, mask: Tensor | None, query_at: Tensor | None = None) -> Tensor:
        """(B, T, D) to (B, Q, D); with `query_at` only that position of each message comes out."""
        attended = self.attn(self.ln_1(x), mask, query_at)
        x = (x if query_at is None else take_positions(x, query_at)) + attended
        return x + self.mlp(self.ln_2(x))  # (B, Q, D)


class GPT2(nn.Module):
    """Token and position embeddings, the blocks, the final norm and the output head."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.n_vocab, config.n_embd)
        self.wpe = nn.Embedding(config.n_ctx, config.n_embd)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=1e-5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Next-token logits at every position: (B, T) of int64 to (B, T, V)."""
        x = self.run_blocks(self.embed(tokens), None)
        return F.linear(self.ln_f(x), self.wte.weight)  # the output head is tied to wte

    def embed(self, tokens: Tensor) -> Tensor:
        """Token plus position embeddings: (B, T) to (B, T, D).

        Raises InputError when a message is longer than the context.
        """
        T = tokens.shape[1]
        if T > self.config.n_ctx:
            raise InputError(f"{T} tokens do not fit the context of {self.config.n_ctx}")
        return self.wte(tokens) + self.wpe.weight[:T]

    def run_blocks(
        self, x: Tensor, mask: Tensor | None, first: int = 0, last: int | None = None
    ) -> Tensor:
        """Blocks `first` to `last` (not included), every position: (B, T, D) to (B, T, D)."""
        for block in self.h[first:last]:
            x = block(x, mask)
        return x


def take_positions(x: Tensor, positions: Tensor) -> Tensor:
    """The vector at one position of each message: (B, T, D) and (B,) to (B, 1, D)."""
    return x.gather(1, positions.view(-1, 1, 1).expand(-1, 1, x.shape[2]))


def attention_mask(lengths: Tensor, T: int, causal: bool) -> Tensor | None:
    """Which keys each position may see in a batch of messages padded on the right to T.

    A causal query never reaches the padding, which lies behind it; None then stands for the plain
    causal mask. Without causality the padding must be hidden: (B, 1, 1, T) of bool.
    """
    if causal:
        return None
    return (torch.arange(T, device=lengths.device) < lengths[:, None])[:, None, None, :]


def query_mask(query_at: Tensor, lengths: Tensor, T: int, causal: bool) -> Tensor:
    """Which keys the single query of each message may see: (B, 1, 1, T) of bool."""
    seen = query_at + 1 if causal else lengths
    return (torch.arange(T, device=lengths.device) < seen[:, None])[:, None, None, :]


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


def gpt2_from_weights(config: GPT2Config, weights: Mapping[str, Tensor]) -> GPT2:
    """A model that uses the given tensors as they are, without a copy (they may be memory-mapped).

    Raises InputError naming the first tensor that is missing, left over or of the wrong shape.
    """
    expected = expected_shapes(config)
    for name in expected.keys() ^ weights.keys():
        state = "missing" if name in expected else "not one of GPT-2's"
        raise InputError(f"weights: tensor {name} is {state}")
    for name, shape in expected.items():
        found = tuple(weights[name].shape)
        if found != shape:
            raise InputError(f"weights: tensor {name} has shape {found}, expected {shape}")
    with torch.device("meta"):
        model = GPT2(config)
    model.load_state_dict(dict(weights), assign=True)
    return model
