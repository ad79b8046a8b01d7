"""Text of strangers so that it can be looked at: nothing in it moves a cursor or turns a line."""

from __future__ import annotations

import re
import unicodedata

# Controls, formats (bidirectional ones among them), lone surrogates, separators of lines.
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # parts of words in some scripts, and of emoji


def visible(text: str, keep: str = "") -> str:
    """Text with what cannot be seen written as Python does: `\\x1b`, `\\u202e`.

    Args:
        keep: characters that stay as they are, such as the line ends of several lines.
    """
    if text.isprintable():  # nearly always
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii")
        if unicodedata.category(c) in UNSEEN and c not in keep and c not in JOINERS
        else c
        for c in text
    )


def one_line(text: str) -> str:
    """Visible text on one line, blanks and line ends between words made one blank."""
    return " ".join(visible(text, keep="\t\n\r").split())


def plot_text(text: str) -> str:
    """Visible text for a table that `dvc plots` draws: DVC puts it into a page's script unescaped.

    There, `</script>` would end the script, and `<!--` or an anchor of DVC's templates, such as
    `<DVC_METRIC_DATA>`, would do harm, too.
    """
    return re.sub(r"<(?=[/!?A-Za-z])", r"\\x3c", one_line(text))
