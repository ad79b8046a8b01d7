"""The frozen part of the model, run once for every message, and the file that keeps the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spam_gpt2.common.console import progress
from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.batching import Messages, concatenate, fill_up, pad, rows_of, token_batches
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.processes import collect, own
from spam_gpt2.gpt2.weights import load_tensors, save_tensors

# Types and number of dimensions of each tensor in the file.
KINDS = {
    "tokens": ({torch.int64}, 1),
    "offsets": ({torch.int64}, 1),
    "rows": ({torch.int64}, 1),
    "labels": ({torch.int64}, 1),
    "cut": ({torch.int64}, 0),
    "hidden": ({torch.float32, torch.bfloat16}, 2),
}
BATCH_TOKENS = 1024  # through whole blocks: enough for full speed, and fits the cache
# Above the cut: of the last block most is computed for one token a message, and few make a product
# that waits for memory.
ABOVE_TOKENS = 8192


@dataclass(frozen=True)
class Features:
    """Messages of a split with what enters block `cut` for each, or no more than their tokens.

    `hidden` is flat like the tokens: message i has the rows `hidden_offsets[i]` to
    `hidden_offsets[i + 1]`; at a cut of n_layer that is one row a message. None at a cut of 0.
    """

    messages: Messages
    labels: Tensor  # (N,) of int64, the class of each original message
    cut: int
    hidden: Tensor | None  # (sum of T, D) of float32 or bfloat16
    hidden_offsets: Tensor  # (U + 1,) of int64

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Features:
        """The same with what batches are taken from on a device."""
        messages = replace(self.messages, tokens=self.messages.tokens.to(device))
        hidden = None if self.hidden is None else self.hidden.to(device)
        return replace(self, messages=messages, labels=self.labels.to(device), hidden=hidden)

    def subset(self, indices: Tensor) -> Features:
        """Features of some of the N messages, in the order given, with no trace of the others."""
        distinct, rows = self.messages.rows[indices].unique(return_inverse=True)
        tokens, offsets = _gather(self.messages.tokens, self.messages.offsets, distinct)
        messages, labels = Messages(tokens, offsets, rows), self.labels[indices]
        if self.hidden is None:
            return Features(messages, labels, self.cut, None, offsets)
        return Features(
            messages, labels, self.cut, *_gather(self.hidden, self.hidden_offsets, distinct)
        )

    def logits(self, classifier: GPT2Classifier, indices: Tensor) -> Tensor:
        """Class logits of some of the N messages, the cached part taken from here: (B, K)."""
        distinct, device = self.messages.rows[indices], classifier.device
        if self.hidden is None:
            tokens, runs = concatenate(self.messages.tokens, self.messages.offsets, distinct)
            return classifier.above(classifier.gpt2.embed(tokens.to(device), runs), runs, 0)
        x, runs = concatenate(self.hidden, self.hidden_offsets, distinct)
        return classifier.above(x.to(device), runs, self.cut)

    def plain_logits(self, classifier: GPT2Classifier, indices: Tensor) -> Tensor:
        """The same the plain way: padded tokens through the whole model."""
        distinct = self.messages.rows[indices]
        padded = pad(self.messages.tokens, self.messages.offsets, distinct)
        return classifier(*(tensor.to(classifier.device) for tensor in padded))


def joined(parts: Sequence[Features]) -> Features:
    """Features of several splits as those of one, in order; a text may then be there twice.

    Raises: InputError when they are not of one model and plan.
    """
    first = parts[0]
    widths = {None if part.hidden is None else part.hidden.shape[1] for part in parts}
    kinds = {None if part.hidden is None else part.hidden.dtype for part in parts}
    if max(map(len, (widths, kinds, {part.cut for part in parts}))) > 1:
        raise InputError("data/features: the splits are of several models; run `dvc repro`")
    messages = [part.messages for part in parts]
    before = np.cumsum([0, *(len(m.lengths) for m in messages)])
    rows = [m.rows + int(n) for m, n in zip(messages, before, strict=False)]
    whole = Messages(
        torch.cat([m.tokens for m in messages]), _end_to_end([m.offsets for m in messages]),
        torch.cat(rows),
    )  # fmt: skip
    labels = torch.cat([part.labels for part in parts])
    if first.hidden is None:
        return Features(whole, labels, first.cut, None, whole.offsets)
    hidden = torch.cat([part.hidden for part in parts])
    offsets = _end_to_end([part.hidden_offsets for part in parts])
    return Features(whole, labels, first.cut, hidden, offsets)


def _end_to_end(offsets: Sequence[Tensor]) -> Tensor:
    """Offsets into several flat tensors as those into all of them, end to end."""
    lengths = torch.cat([part.diff() for part in offsets])
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def extract_features(
    classifier: GPT2Classifier,
    messages: Messages,
    labels: Tensor,
    cut: int,
    batch_tokens: int,
    dtype: torch.dtype = torch.float32,
) -> Features:
    """Run the blocks below `cut` once for every distinct message.

    Batches have at most `batch_tokens` tokens, none of them padding. At a cut of 0 there is nothing
    to compute. The result is stored as `dtype`, on the processor. Of several processes the one that
    writes has all of it.
    """
    if cut == 0:
        return Features(messages, labels, cut, None, messages.offsets)
    config = classifier.gpt2.config
    pooled = cut == config.n_layer
    offsets = torch.arange(len(messages.lengths) + 1) if pooled else messages.offsets
    hidden = torch.empty(int(offsets[-1]), config.n_embd, dtype=dtype)
    batches = list(token_batches(messages.lengths, batch_tokens))
    total = sum(int(messages.lengths[indices].sum()) for indices in own(batches))
    with torch.inference_mode(), progress(total=total, unit="token") as bar:
        for indices in own(batches):
            rows, runs = rows_of(messages.offsets, indices)
            tokens, runs = fill_up(messages.tokens[rows], runs, batch_tokens)
            x = classifier.below(tokens.to(classifier.device), runs, cut)
            places = indices if pooled else rows
            hidden[places] = x[: len(places)].to("cpu", dtype)
            bar.update(len(rows))
    collect(hidden, (i if pooled else rows_of(messages.offsets, i)[0] for i in batches))
    return Features(messages, labels, cut, hidden, offsets)


def _gather(flat: Tensor, offsets: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Some messages of a flat tensor, end to end, and where each begins and the last ends."""
    lengths = (offsets[indices + 1] - offsets[indices]).tolist()
    return concatenate(flat, offsets, indices)[0], torch.tensor([0, *lengths]).cumsum(0)


def all_logits(classifier: GPT2Classifier, features: Features) -> Tensor:
    """Class logits of all N messages in their order, (N, K), on the processor.

    Each distinct message runs once, in one of the processes.
    """
    check_fit(features, classifier)
    lengths = features.messages.lengths
    first_row = torch.empty(len(lengths), dtype=torch.int64)
    first_row[features.messages.rows] = torch.arange(len(features))
    logits = torch.empty(len(lengths), classifier.head.out_features)
    batches = list(token_batches(lengths, ABOVE_TOKENS))
    with torch.inference_mode():
        for distinct in own(batches):
            logits[distinct] = features.logits(classifier, first_row[distinct]).cpu()
    collect(logits, batches, everywhere=True)
    return logits[features.messages.rows]


def class_probabilities(classifier: GPT2Classifier, features: Features) -> np.ndarray:
    """Softmax of `all_logits`, (N, K) of float64, so that rows sum to 1 for scikit-learn."""
    return all_logits(classifier, features).double().softmax(1).numpy()


def save_features(path: Path, features: Features) -> None:
    """Write features as safetensors, whole or not at all."""
    tensors = {
        "tokens": features.messages.tokens,
        "offsets": features.messages.offsets,
        "rows": features.messages.rows,
        "labels": features.labels,
        "cut": torch.tensor(features.cut),
    }
    if features.hidden is not None:
        tensors["hidden"] = features.hidden
    save_tensors(path, tensors)


def load_features(path: Path) -> Features:
    """Memory-map what `save_features` wrote.

    Raises: InputError for another file, or one whose tensors do not go together.
    """
    tensors = load_tensors(path)
    for name in sorted(KINDS.keys() - {"hidden"} - tensors.keys()):
        raise InputError(f"{path}: no tensor {name!r}; `dvc repro extract_features`")
    for problem in _problems(tensors):
        raise InputError(f"{path}: tensor {problem}; `dvc repro extract_features`")
    messages = Messages(tensors["tokens"], tensors["offsets"], tensors["rows"])
    labels, cut = tensors["labels"], int(tensors["cut"])
    hidden = tensors.get("hidden")
    one_row_each = hidden is not None and len(hidden) == len(messages.lengths)
    offsets = torch.arange(len(messages.offsets)) if one_row_each else messages.offsets
    return Features(messages, labels, cut, hidden, offsets)


def _problems(tensors: dict[str, Tensor]) -> Iterator[str]:
    """What is wrong with a file's tensors, the name in front: later checks need earlier ones."""
    for name, tensor in tensors.items():
        types, dimensions = KINDS.get(name, (set(), 0))
        if not types:
            yield f"{name} has no place here"
        elif tensor.dtype not in types or tensor.dim() != dimensions:
            yield f"{name} is {tensor.dtype} of {tensor.dim()} dimensions"
    tokens, offsets, rows, labels, cut = (tensors[name] for name in list(KINDS)[:5])
    lengths = offsets.diff()
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(tokens) or (lengths < 1).any():
        yield "offsets does not divide the tokens into messages"
    if len(rows) != len(labels):
        yield f"labels has {len(labels)} entries for {len(rows)} messages"
    for name, values, end in (
        ("rows", rows, len(lengths)),
        ("tokens", tokens, 2**31),  # which token a model knows is checked with the model
        ("labels", labels, 2**31),
    ):
        if len(values) and (values.min() < 0 or values.max() >= end):
            yield f"{name} has values that are out of range"
    hidden = tensors.get("hidden")
    if (hidden is None) != (cut == 0):
        yield f"cut is {int(cut)}, which does not go with the others"
    if hidden is not None and len(hidden) not in (len(tokens), len(lengths)):
        yield f"hidden has {len(hidden)} rows for {len(tokens)} tokens"
    if hidden is not None and not torch.isfinite(hidden).all():
        yield "hidden has values that are no finite numbers"


def check_fit(features: Features, classifier: GPT2Classifier) -> None:
    """Raises: InputError when features are of another model or of other classes."""
    config, hidden = classifier.gpt2.config, features.hidden
    for name, found, end in (
        ("token", features.messages.tokens, config.n_vocab),
        ("class", features.labels, classifier.head.out_features),
    ):
        if len(found) and int(found.max()) >= end:
            raise InputError(
                f"data/features: {name} {int(found.max())} of {end} that the model knows; "
                "`dvc repro extract_features`"
            )
    width = config.n_embd if hidden is None else hidden.shape[1]
    if features.cut > config.n_layer or width != config.n_embd:
        raise InputError("data/features: of another model; `dvc repro extract_features`")
    if len(features.messages.lengths) and int(features.messages.lengths.max()) > config.n_ctx:
        raise InputError(
            f"data/features: a message has more than {config.n_ctx} tokens, the model's context; "
            "`dvc repro extract_features`"
        )
