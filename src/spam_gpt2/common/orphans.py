"""A stage ends with the `dvc` that started it: an orphan would overwrite the next run's results."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from spam_gpt2 import PARENT, STORE

PR_SET_PDEATHSIG = 1  # linux/prctl.h
STATE, PARENT_PID, START_TIME = (
    0,
    1,
    19,
)  # fields of /proc/<pid>/stat behind the name (proc_pid_stat(5))
POLL = 0.1  # seconds
SHELLS = ("sh", "dash", "bash", "zsh", "fish", "ksh", "busybox")


def end_with_parent() -> None:
    """End this process by SIGTERM when `dvc` ends, or the stage that it is a process of.

    DVC runs a command by a shell. Most shells become the command; some stay between the two, and
    then it is the shell's parent that counts. A person's own `nohup python stages/...` goes on.
    """
    if not os.environ.keys() & {"DVC_STAGE", STORE} or os.name == "nt":
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if _name(PARENT) not in SHELLS:
            _end_if_orphaned(None)  # it may have died before
            return
    threading.Thread(target=_watch, args=(_shells_parent(),), daemon=True).start()


def started_by() -> str:
    """Which process started this one, or its shell: the same for all stages of one `dvc` command.

    Its number and, where /proc tells, when it began: numbers are used again.
    """
    above_shell = _shells_parent() if _name(PARENT) in SHELLS else None
    pid = above_shell or PARENT
    return f"{pid}-{began(pid)}"


def began(pid: int) -> str:
    """When a process began, in ticks of the system's clock; `?` where nobody tells."""
    return _stat(pid, START_TIME) or "?"


def is_alive(pid: int, since: str) -> bool:
    """Whether the process that `began` then is still there."""
    if Path("/proc/self/stat").exists():
        return _stat(pid, STATE) != "Z" and began(pid) == since
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def _watch(above_shell: int | None) -> None:
    while True:
        _end_if_orphaned(above_shell)
        time.sleep(POLL)


def _end_if_orphaned(above_shell: int | None) -> None:
    """Args: the parent of our parent, where that is a shell that stays; None otherwise."""
    shell_is_orphan = above_shell is not None and _shells_parent() != above_shell
    if os.getppid() != PARENT or shell_is_orphan:
        os.kill(os.getpid(), signal.SIGTERM)


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return ""


def _shells_parent() -> int | None:
    """The parent of our parent; None without /proc, as on macOS, whose shells stay nowhere."""
    found = _stat(PARENT, PARENT_PID)
    return None if found is None else int(found)


def _stat(pid: int, field: int) -> str | None:
    """A field behind the name of a process in its stat, from 0; None without /proc."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[field]
    return None
