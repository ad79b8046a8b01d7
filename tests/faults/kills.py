"""Kill a program of the project at one of its writes, and look at what it and its next call leave.

    python kills.py track|register PROJECT FOLDER SHARE...

Each SHARE, from 0 to 1, is one case: of an undisturbed run's writes, the one before which the
process is killed. A write is an SQL statement that changes something, a commit, and a file that is
opened for writing, renamed or made. Each case is a fork, since importing MLflow takes seconds.
Prints a line of JSON a case.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas as pd
from sqlalchemy import event
from sqlalchemy.engine import Engine

from spam_gpt2.common.console import one_line_errors
from spam_gpt2.common.params import load_params
from spam_gpt2.tracking.registry import ENVIRONMENT, register

ROOT = Path(__file__).parents[2]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def track() -> None:
    runpy.run_path(str(ROOT / "stages/track.py"), run_name="__main__")


def register_it() -> None:
    with one_line_errors():
        register(load_params())


PROGRAMS = {"track": track, "register": register_it}


class Writes:
    """Counts the writes of this process, and kills it before the one of a number."""

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last = 0, last
        event.listen(Engine, "before_cursor_execute", self._sql)
        event.listen(Engine, "commit", lambda connection: self.another())
        sys.addaudithook(self._audit)

    def another(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _sql(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            self.another()

    def _audit(self, name: str, arguments: tuple) -> None:
        is_open = name == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if is_open or name in ("os.rename", "os.mkdir"):
            self.another()


def in_fork(folder: Path, work: Callable[[], Any]) -> tuple[int, Any]:
    """Do something in a folder, in a process of its own; its exit code, or minus the signal."""
    answer_path = folder.with_name(f"{folder.name}.answer")
    answer_path.unlink(missing_ok=True)
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.chdir(folder)
            with folder.with_name(f"{folder.name}.log").open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            answer_path.write_text(json.dumps(work()))
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    answer = json.loads(answer_path.read_text()) if answer_path.exists() else None
    return os.waitstatus_to_exitcode(status), answer


def writes_of(program: Callable[[], None]) -> int:
    writes = Writes()
    program()
    return writes.count


def killed(program: Callable[[], None], last: int) -> None:
    Writes(last)
    program()


def champion() -> str | None:
    """The version that is champion, as the database itself has it."""
    if not Path("mlflow.db").exists():
        return None
    with closing(sqlite3.connect("mlflow.db")) as store:
        (check,) = store.execute("pragma integrity_check").fetchone()
        assert check == "ok", check
        tables = store.execute("select 1 from sqlite_master where name='registered_model_aliases'")
        if tables.fetchone() is None:
            return None
        rows = store.execute("select version from registered_model_aliases where alias='champion'")
        found = rows.fetchone()
    return None if found is None else str(found[0])


def left() -> dict[str, Any]:
    """What MLflow has, by its own client; the champion answers."""
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    client = mlflow.MlflowClient()
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    whole = [
        run
        for run in runs
        if run.info.status == "FINISHED"
        and run.data.metrics
        and run.data.params
        and (Path(run.info.artifact_uri.removeprefix("file://")) / "metrics/training.json").exists()
    ]
    found = {"runs": len(runs), "whole": len(whole)}
    if (number := champion()) is not None:
        version = client.get_model_version("spam-gpt2", number)
        model = mlflow.pyfunc.load_model("models:/spam-gpt2@champion")
        answer = model.predict(pd.DataFrame({"text": ["free prize"]}))
        found |= {
            "champion": number,
            "status": version.status,
            "description": version.description,
            "tags": len(version.tags),
            "answers": len(answer),
            "run": client.get_run(version.run_id).info.status,
        }
    return found


def main() -> None:
    name, project, folder, *shares = sys.argv[1:]
    program, base = PROGRAMS[name], Path(folder)
    os.environ.update(ENVIRONMENT)

    def fresh(number: object) -> Path:
        return shutil.copytree(project, base / f"case-{number}")

    code, total = in_fork(fresh("undisturbed"), lambda: writes_of(program))
    assert code == 0, (base / "case-undisturbed.log").read_text()
    for number, share in enumerate(shares):
        last = 1 + min(int(float(share) * total), total - 1)
        case = fresh(number)
        code, _ = in_fork(case, lambda last=last: killed(program, last))
        between_code, between = in_fork(case, lambda: None if champion() is None else left())
        next_code, _ = in_fork(case, program)
        left_code, found = in_fork(case, left)
        log = (base / f"case-{number}.log").read_text(errors="replace")
        codes = {"killed": code, "between": between_code, "next": next_code, "left": left_code}
        line = {"write": last, "of": total, "codes": codes, "between": between, "left": found}
        print(json.dumps(line | {"log": log}), flush=True)


if __name__ == "__main__":
    main()
