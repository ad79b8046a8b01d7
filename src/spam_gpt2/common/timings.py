"""What stages took, in `reports/timings.tsv`: no output of the pipeline, as times always differ."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from spam_gpt2.common.orphans import started_by

TIMINGS_PATH = Path("reports/timings.tsv")


@dataclass(frozen=True)
class Timing:
    """A stage that came to its end."""

    stage: str
    seconds: float
    peak: int  # of resident memory, in MB
    ended: datetime
    execution: str  # the `dvc` that started it

    @property
    def began(self) -> datetime:
        """When it was started, to a tenth of a second."""
        return self.ended - timedelta(seconds=self.seconds)


def note_timing(stage: str, seconds: float, peak: int) -> None:
    """Add a line for a stage that ends now."""
    ended = datetime.now(UTC).isoformat(timespec="milliseconds")
    TIMINGS_PATH.parent.mkdir(parents=True, exist_ok=True)
    with TIMINGS_PATH.open("a", encoding="utf-8") as file:
        file.write(f"{stage}\t{seconds:.1f}\t{peak}\t{ended}\t{started_by()}\n")


def last_execution(stages: Collection[str], path: Path = TIMINGS_PATH) -> list[Timing]:
    """The newest execution in which any of these stages ran: those that did, in order.

    An execution is one `dvc` command. What it took from the cache has no line in it.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows = [row for line in lines if (row := _parsed(line))]
    for _, group in reversed([(k, list(g)) for k, g in groupby(rows, lambda r: r.execution)]):
        latest = {row.stage: row for row in group if row.stage in stages}
        if latest:
            return sorted(latest.values(), key=lambda row: row.ended)
    return []


def _parsed(line: str) -> Timing | None:
    """A line; None for one of an earlier version, which had three columns, or for half a one."""
    try:
        stage, seconds, peak, ended, execution = line.split("\t")
        return Timing(stage, float(seconds), int(peak), datetime.fromisoformat(ended), execution)
    except ValueError:
        return None
