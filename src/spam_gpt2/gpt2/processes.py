"""Several processes at one work: what each does of it, and how their results come together.

All is as with one process where `common.launch` has not started this one. Every process makes the
same calls in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from spam_gpt2 import STORE
from spam_gpt2.common.files import InputError
from spam_gpt2.common.launch import LOST_OTHERS, is_worker, note_failure

WHERE = "params.yaml: compute.processes"
SMALL = 2**17  # elements of a gradient below which a message of its own costs more than to copy it
T = TypeVar("T")


def join(device: torch.device) -> torch.device:
    """Meet the other processes, if there are any; the device that is this one's.

    Raises: InputError where there are fewer GPUs than processes.
    """
    if not is_worker():
        return device
    here, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "gloo"
    if device.type == "mps":
        raise InputError(f"{WHERE}: mps takes one process; set it to null, or compute.device: cpu")
    if device.type == "cuda":
        gpus = torch.cuda.device_count()
        if count > gpus:
            raise InputError(f"{WHERE}: {count} processes need as many GPUs, and there are {gpus}")
        device, backend = torch.device("cuda", here), "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    with _others():
        store = dist.FileStore(os.environ[STORE], count)
        dist.init_process_group(backend, store=store, rank=here, world_size=count)
    return device


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if _is_joined() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if _is_joined() else 0


def writes() -> bool:
    """Whether this is the one process that writes files."""
    return rank() == 0


def share(lengths: Tensor) -> Tensor:
    """Which of a batch's messages are this process's, as places in it, (b,); maybe none.

    The longest come first, each to the process that has the fewest tokens so far: all wait for the
    one that has most to do.

    Args:
        lengths: tokens of each message, (B,).
    """
    if processes() == 1:
        return torch.arange(len(lengths))
    tokens, places = [0] * processes(), [[] for _ in range(processes())]
    for place in lengths.sort(descending=True, stable=True).indices.tolist():
        least = tokens.index(min(tokens))
        tokens[least] += int(lengths[place])
        places[least].append(place)
    return torch.tensor(sorted(places[rank()]), dtype=torch.int64)


def own(batches: Iterable[T]) -> Iterator[T]:
    """The batches that are this process's, dealt out in turn."""
    return islice(batches, rank(), None, processes())


def summed(value: Tensor) -> Tensor:
    """Its sum over all processes, the same in each."""
    if processes() > 1:
        with _others():
            dist.all_reduce(value)
    return value


def sum_gradients(tensors: Iterable[Tensor]) -> None:
    """Replace every gradient by its sum over the processes; none counts as zero.

    A tensor that has none in any process is left without.
    """
    if processes() == 1:
        return
    tensors = list(tensors)
    with _others():
        found = torch.tensor([tensor.grad is not None for tensor in tensors], dtype=torch.uint8)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        gradients = []
        for tensor in (t for t, is_there in zip(tensors, found.tolist(), strict=True) if is_there):
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
            gradients.append(tensor.grad)
        _add_up(gradients)


def _add_up(gradients: list[Tensor]) -> None:
    """Replace each by its sum over the processes; the small ones travel together."""
    small = [gradient for gradient in gradients if gradient.numel() < SMALL]
    sent = [gradient for gradient in gradients if gradient.numel() >= SMALL]
    if small:
        sent.append(torch.cat([gradient.flatten() for gradient in small]))
    for work in [dist.all_reduce(tensor, async_op=True) for tensor in sent]:
        work.wait()
    if small:
        parts = sent[-1].split([gradient.numel() for gradient in small])
        for gradient, part in zip(small, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def collect(rows: Tensor, places: Iterable[Tensor], *, everywhere: bool = False) -> None:
    """Bring together, bit for bit, the rows that each process has filled, in the one that writes.

    Args:
        rows: on the processor, (N, ...).
        places: the rows of each batch, as `own` deals them out.
        everywhere: whether the other processes are to have them, too.
    """
    if processes() == 1:
        return
    with _others():
        for owner, some in ((i % processes(), some) for i, some in enumerate(places)):
            if owner == rank() != 0:
                dist.send(rows[some].view(torch.uint8), 0)
            elif owner != rank() == 0:
                received = torch.empty_like(rows[some])
                dist.recv(received.view(torch.uint8), owner)
                rows[some] = received
        if everywhere:
            dist.broadcast(rows, 0)


def _is_joined() -> bool:
    return dist.is_available() and dist.is_initialized()  # not every build of torch has it


@contextmanager
def _others() -> Iterator[None]:
    """End without a word when another process has ended: `launch` says which, and why."""
    try:
        yield
    except RuntimeError as error:
        note_failure(f"{WHERE}: the processes lost each other: {error}")
        raise SystemExit(LOST_OTHERS) from None
