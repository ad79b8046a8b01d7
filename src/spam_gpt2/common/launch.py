"""A stage on several processes of this machine, which torchrun starts, watches and ends."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spam_gpt2 import STORE
from spam_gpt2.common.files import InputError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

LOST_OTHERS = 75  # exit code of a process that ends since another has (EX_TEMPFAIL of sysexits.h)
PATIENCE = 10  # seconds that the others have to end by themselves
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


def is_worker() -> bool:
    """Whether `launch` started this process."""
    return STORE in os.environ


def is_silent() -> bool:
    """Whether another process speaks for this one."""
    return is_worker() and os.environ["RANK"] != "0"


def is_to_launch(processes: int | None) -> bool:
    """Whether a stage that is to run on so many processes has yet to start them."""
    return (processes or 1) > 1 and not is_worker()


def launch(processes: int, script: str) -> int:
    """Run a script on so many processes and wait for them all; one that fails ends the others.

    Returns: the most memory that they had resident, in MB: that of the largest for each.

    Raises: InputError that says which process failed, and why.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    logging.disable(logging.CRITICAL)  # torch's lines on what we say in one
    if sys.platform in LOOPBACK:  # nobody outside can connect
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
    try:
        with tempfile.TemporaryDirectory(prefix="spam-gpt2-") as folder:
            os.environ[STORE] = str(Path(folder) / "processes")  # for those that are started
            elastic_launch(_config(processes, folder), sys.executable)(script)
    except ChildFailedError as error:
        raise InputError(_reason(error, processes)) from None
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        signal.signal(error.sigval, signal.SIG_DFL)  # end as a stage of one process does
        signal.raise_signal(error.sigval)
    finally:
        os.environ.pop(STORE, None)
    return processes * _largest_child()


def _config(processes: int, folder: str) -> Any:
    """Of torchrun; the processes meet by a file, so that no port is open to other machines."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="spam-gpt2",
        rdzv_backend="c10d",
        rdzv_endpoint=str(Path(folder) / "rendezvous"),
        rdzv_configs={"store_type": "file"},
        local_addr="127.0.0.1",
        max_restarts=0,
        shutdown_timeout=PATIENCE,
        logs_specs=DefaultLogsSpecs(log_dir=folder),
    )


@contextmanager
def as_worker() -> Iterator[None]:
    """End a process that `launch` started where its work ends; any other goes on.

    At once: gloo's threads, which may wait for others, would not let it end in peace.
    """
    code = 0
    try:
        yield
    except SystemExit as end:
        if not is_worker():
            raise
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    if is_worker():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def note_failure(message: str) -> None:
    """Leave word of why this process ends, for `launch` to say."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        said = {"message": message, "timestamp": int(time.time())}
        Path(path).write_text(json.dumps(said), encoding="utf-8")


def _reason(error: ChildFailedError, processes: int) -> str:
    """What the first process that failed by itself has said, or how it ended."""
    by_itself = {r: f for r, f in error.failures.items() if f.exitcode != LOST_OTHERS}
    rank, failure = min((by_itself or error.failures).items(), key=lambda item: item[1].timestamp)
    if failure.error_file_data.get("timestamp"):
        return failure.message
    how = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
    return (
        f"process {rank + 1} of {processes} (compute.processes) ended by {how}; "
        "`dvc repro` tries again, and goes on where there is a checkpoint"
    )


def _largest_child() -> int:
    """Peak of resident memory of the largest process that this one has started, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # bytes on macOS, else KiB
    return peak >> (20 if sys.platform == "darwin" else 10)
