"""What other processes do."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie. It may end while it is looked at."""
    if not Path("/proc/self").exists():
        return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False
