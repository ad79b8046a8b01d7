"""What Spark, Java and a worker raise, as the one line that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from spam_gpt2.common.files import InputError

# Spark's error conditions (error-conditions.json of its sources), and what they mean here.
CONDITIONS = {
    "PATH_NOT_FOUND": "{input}: no such file or folder",
    "UNABLE_TO_INFER_SCHEMA": "{input}: no Parquet file in there",
    "PATH_ALREADY_EXISTS": "{output}: exists already, and nothing was written; choose another "
    "place, or remove it",
}
READ_FAILED = re.compile(r"\[FAILED_READ_FILE[^\]]*\] .*? file (?:file:)?(?://)?(\S.*?)\.\s")
LAST_WORDS = re.compile(r"^([\w.]*(?:Error|Exception)): (.+)$", re.MULTILINE)


@contextmanager
def spark_errors(input_path: str, output_path: str) -> Iterator[None]:
    """Turn what Spark raises into an InputError where it has a name; all else stays as it is."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        line = reason(error).format(input=input_path, output=output_path)
        raise InputError(line) from error


def reason(error: Exception) -> str:
    """The line for an error of PySpark's or Py4J's; `{input}` and `{output}` stand for paths."""
    condition = getattr(error, "getCondition", lambda: None)()
    if condition in CONDITIONS:
        return CONDITIONS[condition]
    causes = list(messages(error))
    for message in causes:
        if found := READ_FAILED.search(message):
            return _braced(f"{found[1]}: cannot be read as Parquet: {_first_line(causes[-1])}")
    for message in causes:
        if words := LAST_WORDS.findall(message.partition("\n\tat ")[0]):
            kind, text = words[-1]
            return _braced(f"Spark: {kind.rpartition('.')[2]}: {_first_line(text)}")
    return _braced(f"Spark: {_first_line(causes[-1] if causes else str(error))}")


def messages(error: Exception) -> Iterator[str]:
    """What Java says of an error and of what caused it, the outermost first."""
    thrown = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    if thrown is None:
        yield str(error)
    while thrown is not None:
        yield str(thrown.getMessage() or thrown.toString())
        thrown = thrown.getCause()


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:300]


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
