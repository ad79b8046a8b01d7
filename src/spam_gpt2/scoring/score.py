"""Parquet in, Parquet out: every row as it was, with the label and the probabilities of its text.

Messages are read as the command line reads them: a null is an empty message. Within a batch of
Arrow, the Predictor sorts by length, 512 texts at a time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any

from spam_gpt2.classifier.predict import CHUNK
from spam_gpt2.common.console import say, warn
from spam_gpt2.common.files import InputError
from spam_gpt2.data.columns import own_columns, text_layout
from spam_gpt2.scoring.failures import spark_errors
from spam_gpt2.scoring.session import shown_tasks
from spam_gpt2.tracking.registry import ENVIRONMENT, store_errors

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

ROWS_A_TASK = 20_000  # what is done again when a worker dies: minutes of a 124M on one core
QUIET = {**ENVIRONMENT, "MLFLOW_DISABLE_TELEMETRY": "true"}
PREDICTION = "_spam_gpt2_prediction"


@dataclass(frozen=True)
class Scored:
    """What was written: rows, of them without text, and with bytes that are no UTF-8."""

    rows: int
    without_text: int
    not_utf8: int


def score(
    spark: SparkSession,
    input_path: str,
    output_path: str,
    model_uri: str,
    column: str | None = None,
    rows_a_task: int = ROWS_A_TASK,
) -> Scored:
    """Score all rows of Parquet files and write them; their order may change.

    Args:
        input_path, output_path: as Spark takes them: a folder, a file, `s3a://...`.
        model_uri: of a model that `make register` made, as MLflow takes it.
        column: holds the text; None is the one with a usual name.
        rows_a_task: at most so many in one, unless the files are cut finer already.

    Raises: InputError that names what cannot be read, what is there already, or what is no text.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    with spark_errors(input_path, output_path), shown_tasks(spark):
        table = spark.read.parquet(input_path)
        text = text_column(table, input_path, column)
        refuse_existing(spark, output_path)
        predict = prediction_udf(spark, model_uri)
        seen = Observation()
        parts = shared_out(table, rows_a_task).observe(
            seen,
            F.count(F.lit(1)).alias("rows"),
            F.count_if(text.isNull()).alias("without_text"),
            F.count_if(~F.is_valid_utf8(text)).alias("not_utf8"),
        )
        readable = F.make_valid_utf8(F.coalesce(text, F.lit("")))
        write(spark, with_prediction(parts, predict(readable), model_uri), output_path)
        return Scored(**seen.get)


def text_column(table: DataFrame, path: str, name: str | None) -> Column:
    """The column that holds the text. Raises: InputError where there is none, or no text."""
    from pyspark.sql import functions as F

    try:
        layout = text_layout(table.columns, name)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if layout.news:
        say(f"{path}: {layout.news}")
    field = table.schema[layout.texts[0]]
    kind = field.dataType.simpleString()
    if kind != "string":
        advice = ""
        if kind == "binary":
            advice = "; `spark-submit --conf spark.sql.parquet.binaryAsString=true` makes it one"
        raise InputError(f"{path}: column {field.name!r} is {kind}, not string{advice}")
    return F.col(f"`{field.name.replace('`', '``')}`")


def refuse_existing(spark: SparkSession, path: str) -> None:
    """Raises: InputError for an output that is there, before the model is fetched."""
    place, files = _on_files(spark, path)
    if files.exists(place):
        whole = files.exists(_java_path(spark, f"{path.rstrip('/')}/_SUCCESS"))
        hint = "" if whole else " (without _SUCCESS: what a run that was cut off may leave)"
        raise InputError(f"{path}: exists already{hint}; choose another place, or remove it")


@lru_cache(maxsize=1)
def prediction_udf(spark: SparkSession, model_uri: str) -> Any:
    """The model as MLflow's function for Spark, with as many threads as a task has cores.

    Asked again in a session it is the same, which workers have loaded.

    Raises: InputError when MLflow finds no such model.
    """
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It warns at each call of what `env_manager` means; that packages differ, it goes on saying.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)
    cores = spark.sparkContext.getConf().get("spark.task.cpus", "1")
    with store_errors():
        return mlflow.pyfunc.spark_udf(
            spark, model_uri, env_manager="local", extra_env=worker_environment(cores)
        )


def worker_environment(cores: str) -> Mapping[str, str]:
    """For a worker, before it imports torch, which takes its number of threads from there."""
    return {**QUIET, "OMP_NUM_THREADS": cores}


def shared_out(table: DataFrame, rows_a_task: int) -> DataFrame:
    """The same rows in enough parts: one large file would be a single task, hours long.

    Spark sorts rows before it shares them out, so that a part that is computed anew is the same.
    """
    count = table.count()  # by the files' footers
    cores = table.sparkSession.sparkContext.defaultParallelism
    parts = max(ceil(count / rows_a_task), min(cores, ceil(count / CHUNK)))
    return table if parts <= table.rdd.getNumPartitions() else table.repartition(parts)


def with_prediction(table: DataFrame, prediction: Column, model_uri: str) -> DataFrame:
    """All columns of the table and those of the prediction, renamed where a name is taken."""
    from pyspark.sql import functions as F

    header = table.columns
    scored = table.withColumn(PREDICTION, prediction)
    fields = prediction_fields(scored.schema[PREDICTION].dataType, model_uri)
    labels = [name.removeprefix("probability_") for name in fields[2:]]
    names = own_columns(header, labels)
    added = [
        F.col(PREDICTION).getField(field).alias(name)
        for field, name in zip(fields, names, strict=True)
    ]
    return scored.select(*(scored[f"`{name.replace('`', '``')}`"] for name in header), *added)


def prediction_fields(kind: StructType, model_uri: str) -> list[str]:
    """Label, its probability, that of every label. Raises: InputError for another model's."""
    fields = getattr(kind, "names", [])
    if fields[:2] != ["label", "probability"]:
        raise InputError(f"{model_uri}: no model that `make register` made")
    return fields


def write(spark: SparkSession, table: DataFrame, path: str) -> None:
    """Write by Spark's committer; a run that fails leaves nothing, where Spark leaves a folder."""
    try:
        table.write.mode("errorifexists").parquet(path)
    except BaseException as error:
        if getattr(error, "getCondition", lambda: None)() != "PATH_ALREADY_EXISTS":
            place, files = _on_files(spark, path)
            files.delete(place, True)
        raise


def _on_files(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """A path and its file system, as Hadoop has them."""
    place = _java_path(spark, path)
    return place, place.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())


def _java_path(spark: SparkSession, path: str) -> Any:
    return spark.sparkContext._jvm.org.apache.hadoop.fs.Path(path)


def tell(scored: Scored, output_path: str) -> None:
    """One line of what was written, and a warning of what was not as it should be."""
    print(f"{output_path}: {scored.rows:,} messages scored")
    if scored.without_text:
        warn(f"rows without text: {scored.without_text:,}, read as empty messages")
    if scored.not_utf8:
        warn(f"texts that are not UTF-8: {scored.not_utf8:,}, other bytes read as U+FFFD")
