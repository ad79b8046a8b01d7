"""Text in CSV that no spreadsheet takes for a formula, and back.

A spreadsheet runs a field that begins with one of `= + - @`, tab, CR or LF (OWASP, "CSV
Injection"). Such a field gets an apostrophe in front, and so does one that has apostrophes before
such a beginning: then taking one away brings every text back as it was.
"""

from __future__ import annotations

import re

# The wide forms are those of East Asian keyboards, which spreadsheets there take for the same.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # noqa: RUF001


def guard(text: str) -> str:
    """A field as it is written."""
    return f"'{text}" if FORMULA.match(text) else text


def unguard(field: str) -> str:
    """The text of a field that `guard` wrote."""
    return field[1:] if field.startswith("'") and FORMULA.match(field) else field
