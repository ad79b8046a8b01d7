"""The command line beside four busy loops and alone, with threads that spin and that sleep.

    python benchmarks/busy.py [--busy-lines 1500] [--quiet-lines 20000] [--repeats 1]

Run it where `dvc repro` has trained a classifier, on a machine that does nothing else. "Spin" is
torch's default: waiting threads try 300,000 times before they sleep (GNU's OpenMP), or for 200 ms
(Intel's and LLVM's). "Sleep" is this project's. Both take turns. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spam_gpt2.classifier.predict import CLASSIFIER_DIR
from spam_gpt2.data.messages import read_split

LOOPS = 4
SPIN = {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}
WAYS = {"spin": SPIN, "sleep": {}}


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Other work on the machine."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def seconds(lines: bytes, way: str) -> float:
    """Wall seconds of the command line on these lines, its start included."""
    environment = {name: value for name, value in os.environ.items() if name not in SPIN}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "spam_gpt2"],
        input=lines, env=environment | WAYS[way], stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def table_row(texts: list[str], count: int, loops: int, repeats: int) -> str:
    """Medians of both ways with so many busy loops."""
    repeated = (texts * (1 + count // len(texts)))[:count]
    lines = "".join(f"{text}\n" for text in repeated).encode()
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with busy_loops(loops):
        for _ in range(repeats):
            for way, times in found.items():
                times.append(seconds(lines, way))
    spin, sleep = (statistics.median(times) for times in found.values())
    where = f"beside {loops} busy loops" if loops else "alone"
    return f"| {count:,} lines, {where} | {spin:.1f} | {sleep:.1f} | {spin / sleep:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy-lines", type=int, default=1500)
    parser.add_argument("--quiet-lines", type=int, default=20000)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    if not CLASSIFIER_DIR.is_dir():
        raise SystemExit(f"error: {CLASSIFIER_DIR}: no such folder; `dvc repro` makes it")
    holdout = read_split(Path("data/prepared/holdout.csv"))["text"]
    texts = [" ".join(text.splitlines()) for text in holdout]
    print("| | spin, s | sleep, s | times as fast |\n| --- | --: | --: | --: |")
    for count, loops in ((args.busy_lines, LOOPS), (args.quiet_lines, 0)):
        if count:
            print(table_row(texts, count, loops, args.repeats), flush=True)


if __name__ == "__main__":
    main()
