"""Scoring on Spark at 1 and 2 workers: messages a second, memory, start-up, and what follows.

    python benchmarks/scale.py [--rows 20000] [--workers 1 2] [--size 124M] [--save rates.json]

Run it where `make register` has made a champion, on a machine that does nothing else; with --size
it needs neither: random weights of that size are as fast. Messages are words of the model's
vocabulary, as long as those of the SMS Spam Collection. Each number of workers has processes of
its own. Prints two tables in Markdown: what was measured, and what more messages would cost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from invented import invent
from pyarrow import parquet

from spam_gpt2.classifier.predict import WEIGHTS_DIR
from spam_gpt2.common.console import one_line_errors, progress, say
from spam_gpt2.common.files import InputError, read_json, write_json
from spam_gpt2.common.markdown import table
from spam_gpt2.common.params import load_params
from spam_gpt2.gpt2.compute import DTYPES
from spam_gpt2.gpt2.config import GPT2Config, read_config
from spam_gpt2.gpt2.sources import SIZES
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.scoring.score import QUIET, score
from spam_gpt2.scoring.session import need_spark, spark_session
from spam_gpt2.tracking.registry import MODEL_NAME, find_champion, version_uri

GROUP = 20_000  # rows that are made at a time
FIRST = 80  # messages by which workers start, shared out in 4 parts
MESSAGES = (1_000_000, 100_000_000, 10_000_000_000)
# Assumed: no GPU and no cluster was measured.
GPU_FLOPS = 312e12  # a second; bfloat16 of NVIDIA's A100 by its data sheet
GPU_SHARE = 0.2  # of that, with messages that are short
MACHINE_CORES, CLUSTER_MACHINES = 16, 100


@dataclass(frozen=True)
class Measured:
    """What a run with so many workers showed; each worker has one core."""

    workers: int
    start_up: float  # seconds: Java, and each worker's Python, libraries and model
    rate: float  # messages a second of all workers, start-up apart
    memory: int  # MB, the largest worker's peak


@dataclass(frozen=True)
class Place:
    """Somewhere to score: what it takes is computed from these."""

    name: str
    workers: int
    rate: float  # messages a second of one worker by itself
    efficiency: float  # of all workers against as many times the one
    start_up: float  # seconds
    assumed: str  # what of this was not measured


def seconds(messages: int, place: Place) -> float:
    """Start-up, then messages / (workers x efficiency x rate of one)."""
    return place.start_up + messages / (place.workers * place.efficiency * place.rate)


def flop_a_message(config: GPT2Config, tokens: float) -> float:
    """2 a multiply-add with the 12 D^2 weights of each block, for every token."""
    return 24 * config.n_embd**2 * config.n_layer * tokens


def places(found: list[Measured], flop: float, efficiency: float | None) -> list[Place]:
    """One core as measured, and what is extrapolated from it."""
    one, most = found[0], found[-1]
    of_efficiency = "" if efficiency is None else f"efficiency {efficiency:.0%}"
    if efficiency is None:
        efficiency = most.rate / (most.workers * one.rate)
        of_efficiency = f"efficiency as at {most.workers} workers"
    cores = CLUSTER_MACHINES * MACHINE_CORES
    gpu_rate = GPU_SHARE * GPU_FLOPS / flop
    return [
        Place("one core", 1, one.rate, 1, one.start_up, "nothing"),
        Place(f"{MACHINE_CORES} cores", MACHINE_CORES, one.rate, efficiency, most.start_up,
              of_efficiency),
        Place("one GPU", 1, gpu_rate, 1, one.start_up,
              f"{GPU_SHARE:.0%} of {GPU_FLOPS / 1e12:.0f} TFLOP/s"),
        Place(f"{CLUSTER_MACHINES} machines, {MACHINE_CORES} cores each", cores, one.rate,
              efficiency, most.start_up, f"{of_efficiency}, and no waiting for data"),
    ]  # fmt: skip


def cost_table(found: list[Measured], flop: float, efficiency: float | None) -> str:
    """Time for each number of messages, and worker-hours of the largest."""
    rows = [
        [
            place.name,
            *(duration(seconds(count, place)) for count in MESSAGES),
            f"{place.workers * seconds(MESSAGES[-1], place) / 3600:,.0f}",
            place.assumed,
        ]
        for place in places(found, flop, efficiency)
    ]
    header = ["", *(f"{count:,}" for count in MESSAGES), "worker-hours of the last", "assumed"]
    return table(header, rows)


def measured_table(found: list[Measured], tokens: float) -> str:
    """The runs, and how near the workers come to as many times the one."""
    header = ["workers", "start-up, s", "messages/s", "tokens/s", "efficiency",
              "MB a worker, at most"]  # fmt: skip
    rows = [
        [
            str(it.workers),
            f"{it.start_up:.1f}",
            f"{it.rate:,.1f}",
            f"{it.rate * tokens:,.0f}",
            f"{it.rate / (it.workers * found[0].rate / found[0].workers):.0%}",
            f"{it.memory:,}",
        ]
        for it in found
    ]
    return table(header, rows)


def duration(value: float) -> str:
    """Seconds in the unit that a person would take."""
    for unit, size in (("years", 31_557_600), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if value >= 2 * size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:.0f} seconds"


def write_messages(path: Path, weights_dir: Path, count: int) -> float:
    """Write Parquet with columns id and text; returns the mean number of tokens a message."""
    tokenizer = load_tokenizer(weights_dir, read_config(weights_dir)[0].n_vocab)
    pieces = (tokenizer.decode_single_token_bytes(i) for i in range(tokenizer.eot_token))
    words = [p.decode() for p in pieces if p.isascii() and p[:1] == b" " and p[1:].isalpha()]
    tokens = 0
    schema = pa.schema({"id": pa.int64(), "text": pa.string()})
    with parquet.ParquetWriter(path, schema) as writer:
        for first in progress(range(0, count, GROUP), desc="messages"):
            draw = random.Random(first)
            lengths = map(len, invent(min(GROUP, count - first), first))
            texts = ["".join(draw.choices(words, k=length)) for length in lengths]
            tokens += sum(map(len, tokenizer.encode_ordinary_batch(texts)))
            ids = range(first, first + len(texts))
            writer.write_table(pa.table({"id": list(ids), "text": texts}, schema))
    return tokens / count


def measure(folder: Path, model: str, workers: int, rows: int) -> Measured:
    """Start a session, let every worker load the model, then score all messages."""
    began = time.perf_counter()
    with spark_session(f"local[{workers}]") as spark:
        out = folder / f"out{workers}"
        first = folder / "first.parquet"
        # Some parts a worker, so that none is left without the model.
        score(spark, str(first), f"{out}-first", model, None, rows_a_task=FIRST // 4)
        started = time.perf_counter()
        scored = score(spark, str(folder / "messages.parquet"), str(out), model)
        done = time.perf_counter()
        assert scored.rows == rows
        return Measured(workers, started - began, rows / (done - started), largest_worker())


def largest_worker() -> int:
    """Peak resident memory of PySpark's largest worker below this process, in MB (Linux)."""
    import psutil

    below = psutil.Process().children(recursive=True)
    peaks = [0]
    for process in below:
        with suppress(psutil.Error, OSError, IndexError):  # it has ended
            if "pyspark.daemon" in process.cmdline():
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                peaks.append(int(status.split("VmHWM:")[1].split()[0]) >> 10)
    return max(peaks)


def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make messages and measure, each number of workers in processes of its own."""
    model, weights_dir = args.model, WEIGHTS_DIR
    if args.size:
        from random_model import save_random_model

        model = str(save_random_model(folder / "random", args.size, args.precision))
        weights_dir = folder / "random/gpt2"
    model = model or version_uri(MODEL_NAME, find_champion(load_params()))
    tokens = write_messages(folder / "messages.parquet", weights_dir, args.rows)
    write_messages(folder / "first.parquet", weights_dir, FIRST)
    found = []
    for workers in args.workers:
        say(f"{workers} workers")
        command = [sys.executable, __file__, "--rows", args.rows, "--model", model]
        command += ["--one", folder, "--workers", workers]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise InputError(f"{workers} workers: failed; what it says is above")
        found.append(json.loads(done.stdout.splitlines()[-1]))
        say(f"{found[-1]['rate']:,.1f} messages a second")
    config, origin = read_config(weights_dir)
    weights = f"{origin.name}, {args.precision}" if args.size else origin.name
    return {"rows": args.rows, "tokens": tokens, "weights": weights, "config": asdict(config),
            "feature_bytes": DTYPES[args.precision].itemsize, "found": found}  # fmt: skip


def tables(results: dict[str, Any], efficiency: float | None) -> str:
    """What was measured, and what follows, in Markdown."""
    config, tokens = GPT2Config(**results["config"]), results["tokens"]
    found = [Measured(**each) for each in results["found"]]
    flop = flop_a_message(config, tokens)
    return "\n\n".join(
        [
            f"{results['rows']:,} messages of {tokens:.1f} tokens, {results['weights']}.",
            measured_table(found, tokens),
            f"{flop / 1e9:.2f} GFLOP a message. Features, if they were kept, would be "
            f"{results['feature_bytes'] * config.n_embd * tokens / 1e3:.1f} kB a message.",
            cost_table(found, flop, efficiency),
        ]
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=20_000, help="messages (%(default)s)")
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="(1 2)")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--model", help="as MLflow names it (the registered champion)")
    which.add_argument("--size", choices=SIZES, help="random weights of this size instead")
    arguments.add_argument(
        "--precision", choices=DTYPES, default="float32", help="of --size (%(default)s)"
    )
    arguments.add_argument("--save", type=Path, metavar="FILE", help="write the rates as JSON")
    arguments.add_argument("--load", type=Path, metavar="FILE", help="measure nothing; read them")
    arguments.add_argument(
        "--efficiency", type=float, help="of many workers, assumed (as that of the last number)"
    )
    arguments.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    with one_line_errors():
        if args.load:
            print(tables(read_json(args.load), args.efficiency))
            return
        need_spark()
        os.environ.update(QUIET)
        if args.one:
            print(json.dumps(asdict(measure(args.one, args.model, args.workers[0], args.rows))))
            return
        with tempfile.TemporaryDirectory() as folder:
            results = run(args, Path(folder))
        if args.save:
            write_json(args.save, results)
        print(tables(results, args.efficiency))


if __name__ == "__main__":
    main()
