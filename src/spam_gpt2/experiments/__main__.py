"""Run named experiments: `python -m spam_gpt2.experiments lora last_token`."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor, as_completed

from spam_gpt2.common.console import one_line_errors, progress, say, warn
from spam_gpt2.common.files import InputError
from spam_gpt2.experiments import runner
from spam_gpt2.experiments.clones import Workplaces, workplaces
from spam_gpt2.experiments.field_table import write_field_table
from spam_gpt2.experiments.fold_table import METRICS_PATH, write_fold_table
from spam_gpt2.experiments.results_table import (
    TABLE_PATH,
    Row,
    frame,
    markdown,
    write_seeds,
    write_table,
)
from spam_gpt2.experiments.spec import SPEC_PATH, Experiment, choose, load_experiments

FIRST_SEED = 123
EPILOG = f"""\
Experiments are described in {SPEC_PATH}. Each is one of DVC's own: `dvc exp show` lists them,
`dvc exp apply NAME` takes one over. One that has been run on this commit is not run again."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(
        prog="python -m spam_gpt2.experiments", description=__doc__, epilog=EPILOG
    )
    it.add_argument("names", nargs="*", metavar="NAME", help="experiments or groups (all)")
    it.add_argument("--list", action="store_true", help="only show what there is")
    it.add_argument("--again", action="store_true", help="run even what has been run")
    it.add_argument("--queue", action="store_true", help="only queue, for `dvc queue start`")
    it.add_argument("--table", action="store_true", help="run nothing, only write the table")
    it.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="run N side by side, which share the processors; one alone leaves them idle",
    )  # fmt: skip
    it.add_argument(
        "--cross-validate", action="store_true", help="of each: all messages tested, by folds"
    )
    it.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="run each with N seeds; mean and spread"
    )
    return it


def main() -> None:
    """Parse the command line, and turn errors of the input into one line."""
    args = parser().parse_args()
    with one_line_errors():
        for option in ("seeds", "jobs"):
            if (value := getattr(args, option)) < 1:
                raise InputError(f"--{option}: {value} is not above 0")
        every = load_experiments()
        chosen = choose(every, args.names)
        if args.list:
            print("\n".join(f"{e.name:<24}{e.about}" for e in chosen))
        elif args.queue:
            queue(chosen)
        elif args.cross_validate:
            cross_validate(chosen, args.again, args.jobs)
        elif args.seeds > 1:
            run_seeds(chosen, args.seeds, args.again, args.jobs)
        else:
            failed = [] if args.table else run_all(chosen, args.again, args.jobs)
            report(list(every.values()), chosen)
            if failed:
                raise InputError(f"{len(failed)} of {len(chosen)} failed: {'; '.join(failed)}")


def queue(chosen: list[Experiment]) -> None:
    """Queue experiments; DVC's workers run them side by side."""
    for experiment in chosen:
        runner.queue(experiment)
    say(
        f"{len(chosen)} queued. `dvc queue start --jobs 2` runs them, `dvc queue status` watches; "
        "then `python -m spam_gpt2.experiments --table`"
    )


def share_of_cores(jobs: int) -> int:
    """Threads for each of some experiments at a time, of the cores that this process may use.

    Whoever has set OMP_NUM_THREADS gets no more.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(
        max(1, cores // jobs), int(allowed) if allowed.isdecimal() and int(allowed) else cores
    )


def run_all(chosen: list[Experiment], again: bool, jobs: int) -> list[str]:
    """Run those that have not been run, and go on after one that fails; returns the failures."""
    record, failed, waiting = runner.load_record(), [], []
    for experiment in chosen:
        if not again and runner.find(experiment):
            say(f"{experiment.name}: has been run on this commit")
        else:
            waiting.append(experiment)
    # Last come those that may find all they need in the cache: a size that cannot be fetched is the
    # stand-in once more.
    waiting.sort(key=lambda experiment: "fetch_gpt2.size" in experiment.overrides)
    if not waiting:
        return []
    jobs = min(jobs, len(waiting))
    threads = share_of_cores(jobs) if jobs > 1 else None
    with (
        workplaces(jobs) as free,
        ThreadPoolExecutor(jobs) as pool,
        progress(total=len(waiting), unit="experiment") as bar,
    ):
        futures = {pool.submit(run_where_free, free, e, threads): e for e in waiting}
        try:
            for future in as_completed(futures):
                name = futures[future].name
                try:
                    record[name] = future.result()
                    runner.save_record(record)
                    say(f"{name}: {record[name].seconds:.0f} s")
                except runner.RunError as error:
                    warn(str(error))
                    failed.append(name)
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C, none that waits is begun
    return failed


def run_where_free(free: Workplaces, experiment: Experiment, threads: int | None) -> runner.Run:
    """Run it in the next workplace that is free."""
    place = free.get()
    try:
        return runner.run(experiment, threads, place)
    finally:
        free.put(place)


def rows_of(experiments: list[Experiment]) -> list[Row]:
    """Those of the experiments that have been run on this commit, with their results."""
    record, rows, start = runner.load_record(), [], runner.head()[:7]
    for experiment in experiments:
        commit = runner.find(experiment)
        if commit:
            timed = record.get(experiment.name)
            is_that = timed is not None and timed.commit == commit
            results = runner.read_results(commit)
            rows.append(Row(experiment, results, timed if is_that else None, start))
    return rows


def report(every: list[Experiment], chosen: list[Experiment]) -> None:
    """Bring the table up to date with all that have been run, and print those asked for."""
    rows = rows_of(every)
    if not rows:
        raise InputError("no experiment has been run on this commit")
    write_table(rows, [experiment.name for experiment in every])
    names = {experiment.name for experiment in chosen}
    shown = frame([row for row in rows if row.experiment.name in names])
    if len(shown):
        print(markdown(shown.drop(columns=["about", "messages"])))
    for row in rows:
        if row.experiment.beside and row.experiment.name in names:
            print(f"\n{write_field_table(row)}", end="")
    say(f"The table of all: {TABLE_PATH}, .csv and .png")


def run_seeds(chosen: list[Experiment], count: int, again: bool, jobs: int) -> None:
    """Run each with several seeds; mean and spread go to a report of each, see `write_seeds`."""
    for experiment in chosen:
        seeded = [experiment.with_seed(FIRST_SEED + i) for i in range(count)]
        failed = run_all(seeded, again, jobs)
        if failed:
            raise InputError(f"{', '.join(failed)} failed; no spread without all seeds")
        print(write_seeds(experiment.name, rows_of(seeded)), end="")


def cross_validate(chosen: list[Experiment], again: bool, jobs: int) -> None:
    """Cross-validate each; its figures go to `reports/cross_validation_<name>.md`."""
    folded = {experiment.name: experiment.cross_validated() for experiment in chosen}
    failed = run_all(list(folded.values()), again, jobs)
    for name, experiment in folded.items():
        if commit := runner.find(experiment):
            print(write_fold_table(name, runner.read_metrics(commit, METRICS_PATH.stem)), end="")
    if failed:
        raise InputError(f"{len(failed)} of {len(chosen)} failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
