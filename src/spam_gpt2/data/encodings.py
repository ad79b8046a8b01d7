"""Lines of text from bytes: the encoding by the file's mark, or which one it is likely to be."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

# The marks of UTF-32 begin with one of UTF-16, so they come first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LINE_END = re.compile(r"\r\n|\r|\n")
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")  # what a text file has not, or seldom
# Above this share of bytes beyond ASCII the text is of an alphabet that is not Latin.
MOSTLY_ASCII = 0.2


class DecodingError(ValueError):
    """Bytes that the encoding does not have.

    Attributes:
        line: that they are in, from 1.
        bytes: around them, by which the right encoding may be guessed.
    """

    def __init__(self, line: int, around: bytes) -> None:
        super().__init__(f"line {line}: not in the encoding")
        self.line, self.bytes = line, around


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte-order mark names, or None without one."""
    return next((name for mark, name in MARKS if head.startswith(mark)), None)


def text_lines(file: BinaryIO, encoding: str, newline: str = "") -> Iterator[str]:
    """Lines with their ends, each as soon as it is read.

    Args:
        newline: as `open` takes it: "" ends lines at LF, CR and CRLF, "\\n" at LF alone.

    Raises: DecodingError.
    """
    text, given = io.TextIOWrapper(file, encoding, newline=newline), 0
    try:
        for line in text:
            given += 1
            yield line
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "replace")
        raise DecodingError(given + 1 + len(LINE_END.findall(before)), error.object) from None
    finally:
        if not file.closed:
            text.detach()  # it is not ours to close


def likely_encoding(content: bytes) -> str | None:
    """The encoding that text is probably in which is not UTF-8; None where it is no text.

    Few bytes beyond ASCII are what western European text has: cp1252 where it uses the 32 places
    that latin-1 leaves to control characters, latin-1 otherwise. More are told apart by
    charset-normalizer.
    """
    if content.count(0) > len(content) // 4:
        return "utf-16-le" if content[1::2].count(0) > content[::2].count(0) else "utf-16-be"
    if len(CONTROL.findall(content)) > len(content) // 100:
        return None
    high = sum(map(len, re.findall(rb"[\x80-\xff]+", content)))
    if high <= MOSTLY_ASCII * len(content):
        if not re.search(rb"[\x80-\x9f]", content):
            return "latin-1"
        with_dashes = "cp1252"
        try:
            content.decode(with_dashes)
        except UnicodeDecodeError:
            return "latin-1"  # which has a character for every byte
        return with_dashes
    from charset_normalizer import from_bytes  # a tenth of a second, for errors only

    best = from_bytes(content[: 1 << 16]).best()
    return best.encoding.replace("_", "-") if best else None
