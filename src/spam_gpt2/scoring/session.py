"""Spark's session: found where `spark-submit` made it, else started here, quietly and for us alone.

PySpark is an extra: nothing here imports it before `need_spark` has looked.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from spam_gpt2.classifier.predict import CHUNK
from spam_gpt2.common.console import progress, stderr_into
from spam_gpt2.common.extras import need
from spam_gpt2.common.files import InputError
from spam_gpt2.common.web import HOST

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

MASTER = "local[*]"
ATTEMPTS = 4  # Spark's own number on a cluster (spark.task.maxFailures); in local mode it has 1
JAVA = "Spark needs Java 17 or newer"
JAVA_REMEDY = "install it (Debian: apt-get install default-jre-headless) or set JAVA_HOME"
# What we would rather have than Spark's own; `spark-submit --conf` has the last word.
PREFERRED = {
    # Whole chunks of the Predictor. Spark's own 10,000 would hold more text in memory.
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(8 * CHUNK),
}
LOCAL = {
    "spark.ui.enabled": "false",  # it would listen at every address
    "spark.driver.host": HOST,
    "spark.driver.bindAddress": HOST,
    "spark.ui.showConsoleProgress": "false",
}
POLL = 0.5  # seconds


def need_spark() -> None:
    """Raises: InputError that says what to install where PySpark or Java is missing."""
    need("pyspark")
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit has started Java
        return
    home = os.environ.get("JAVA_HOME")
    if home and not shutil.which("java", path=str(Path(home) / "bin")):
        raise InputError(f"{JAVA}, and JAVA_HOME={home} has none; {JAVA_REMEDY}")
    if not home and not shutil.which("java"):
        raise InputError(f"{JAVA}, and there is none; {JAVA_REMEDY}")


def with_attempts(master: str) -> str:
    """A master that runs a failed task again, as clusters do: `local[2]` is `local[2,4]`."""
    match = re.fullmatch(r"local(?:\[(\d+|\*)\])?", master)
    return f"local[{match[1] or 1},{ATTEMPTS}]" if match else master


@contextmanager
def spark_session(master: str | None = None) -> Iterator[SparkSession]:
    """The session that there is, which stays, or a new one, which ends with the block.

    What Spark prints goes to a file, which an error names that does not speak for itself. Under
    `spark-submit` it goes where that was told.

    Raises: InputError when PySpark or Java is missing or Spark does not start.
    """
    need_spark()
    warnings.filterwarnings("ignore", category=FutureWarning, module="pyspark")  # of pandas 3
    from pyspark.sql import SparkSession

    if found := SparkSession.getActiveSession():
        yield found
    elif "PYSPARK_GATEWAY_PORT" in os.environ:
        with _stopping(_start(SparkSession.builder, master)) as spark:
            yield spark
    else:
        with _log() as log, _stopping(_start(SparkSession.builder, master or MASTER, log)) as spark:
            yield spark


@contextmanager
def _stopping(spark: SparkSession) -> Iterator[SparkSession]:
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def _log() -> Iterator:
    """A file for what Spark says; kept, and named, where an error does not speak for itself."""
    with tempfile.NamedTemporaryFile(
        prefix="spam-gpt2-spark-", suffix=".log", delete=False
    ) as file:
        path = Path(file.name)
        try:
            yield file
        except InputError:
            path.unlink(missing_ok=True)
            raise
        except Exception as error:
            reason = str(error).strip().split("\n")[0][:300]
            raise InputError(f"Spark: {reason}; all that it said is in {path}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def _start(builder: SparkSession.Builder, master: str | None, log=None) -> SparkSession:
    """Start, with our preferences where nothing is set. Raises: InputError where Java ends."""
    from pyspark.errors import PySparkRuntimeError

    try:
        with stderr_into(log) if log else nullcontext():
            return builder.config(conf=_settings(master, is_ours=log is not None)).getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        said = Path(log.name).read_text(encoding="utf-8", errors="replace") if log else ""
        first = next((line for line in said.splitlines() if line.strip()), "it said nothing")
        raise InputError(f"Java ended before Spark began: {first}; {JAVA}: {JAVA_REMEDY}") from None


def _settings(master: str | None, *, is_ours: bool) -> SparkConf:
    """Args: whether this process starts Java, whose settings are then ours, too."""
    from pyspark import SparkConf

    conf = SparkConf()  # starts Java
    chosen = master or conf.get("spark.master") or MASTER
    is_local = chosen.startswith("local")
    if is_local:  # the workers are here: let them be the same Python, not the first in PATH
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for name, value in (PREFERRED | (LOCAL if is_ours and is_local else {})).items():
        conf.setIfMissing(name, value)
    conf.setMaster(with_attempts(chosen))
    return conf.setIfMissing("spark.app.name", "spam-gpt2 scoring")


@contextmanager
def shown_tasks(spark: SparkSession) -> Iterator[None]:
    """A bar of the tasks that are done while the block runs; silent when nobody looks."""
    with progress(unit="task") as bar:
        if bar.disable:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=_follow, args=(spark, bar, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _follow(spark: SparkSession, bar, over: threading.Event) -> None:
    tracker = spark.sparkContext.statusTracker()
    while not over.wait(POLL):
        for stage_id in tracker.getActiveStageIds():
            if info := tracker.getStageInfo(stage_id):
                bar.total, bar.n = info.numTasks, info.numCompletedTasks
                bar.refresh()
