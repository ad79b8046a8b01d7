"""What a person sees of a run: progress, warnings, and one line instead of a traceback."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from tqdm import tqdm

from spam_gpt2 import end_in_one_line
from spam_gpt2.common.files import InputError
from spam_gpt2.common.launch import as_worker, is_silent, is_worker, note_failure
from spam_gpt2.common.orphans import end_with_parent
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import one_line, visible
from spam_gpt2.common.timings import note_timing


def progress(*args: Any, **kwargs: Any) -> tqdm:
    """A progress bar with an estimate on standard error; silent when that is no terminal."""
    if "desc" in kwargs:  # it may be a file's name in an address
        kwargs["desc"] = one_line(kwargs["desc"])
    return tqdm(*args, disable=is_silent() or None, dynamic_ncols=True, **kwargs)


def say(message: str) -> None:
    """One line of news on standard error, above any progress bar.

    What cannot be seen in it is shown escaped: it may come from a server or a message.
    """
    if not is_silent():
        tqdm.write(visible(without_secrets(message)), file=sys.stderr)


def warn(message: str) -> None:
    """A warning that stands out among the news."""
    say(f"WARNING: {message}")


@contextmanager
def stderr_into(file: IO[bytes]) -> Iterator[None]:
    """Let all that is printed on standard error, by libraries and new processes too, go to a file.

    A process that starts within goes on writing there.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


@contextmanager
def held_stderr() -> Iterator[None]:
    """Keep back what libraries of C and C++ print on standard error, unless the block fails."""
    with tempfile.TemporaryFile() as notes:
        try:
            with stderr_into(notes):
                yield
        except BaseException:
            notes.seek(0)
            os.write(2, notes.read())
            raise


def exit_with_error(error: InputError | OSError, place: object = "") -> NoReturn:
    """Print the one line that an error is, and leave with exit code 1.

    Args:
        place: what an OSError is about that names no file itself.
    """
    text = str(error)
    if isinstance(error, OSError):
        place = error.filename2 or error.filename or place
        text = f"{place}: {error.strerror or error}" if place else text
    text = one_line(without_secrets(text))
    if is_worker():
        note_failure(text)
    else:
        print(f"error: {text}", file=sys.stderr)
    raise SystemExit(1)


@contextmanager
def one_line_errors(place: object = "") -> Iterator[None]:
    """Turn what is wrong outside, and Ctrl-C, into one line and an exit code.

    Args:
        place: what an OSError is about that names no file itself.
    """
    try:
        if signal.getsignal(signal.SIGINT) is end_in_one_line:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if not gc.isenabled():
            gc.freeze()  # what is imported stays
            gc.enable()
        yield
    except (InputError, OSError) as error:  # a full disk, a folder that is not ours
        exit_with_error(error, place)
    except KeyboardInterrupt:
        if not is_worker():
            print("interrupted", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None  # as shells have it


def run_stage(stage: Callable[[], int | None], script: str) -> None:
    """Run a stage's `main`, turn what is wrong outside into one line, and note what it took.

    Seconds and the peak of memory in MB go to `reports/timings.tsv`, see `timings.py`. What the
    stage returns, if anything, is the memory of other processes that did its work.
    """
    # As it ends, Python looks for garbage in all of torch, a second a stage: not in what is frozen.
    atexit.register(gc.freeze)
    end_with_parent()
    name, began = Path(script).stem, time.monotonic()
    with as_worker(), one_line_errors(name):
        others = stage() or 0
        seconds, peak = time.monotonic() - began, peak_memory() + others
        if not is_worker():
            note_timing(name, seconds, peak)
    say(f"{name} took {seconds:.1f} s and at most {peak:,} MB")


def peak_memory() -> int:
    """The most memory that this process has had resident so far, in MB; 0 where nobody knows."""
    status_path = Path("/proc/self/status")
    if status_path.is_file():  # Linux counts the parent's peak into a child's ru_maxrss
        status = status_path.read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) >> 10  # KiB
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, else KiB
    return peak >> (20 if sys.platform == "darwin" else 10)
