"""Export folders appear whole or not at all, and replace nothing but an export."""

from __future__ import annotations

from pathlib import Path

import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.exports.folders import megabytes, whole_folder


def fill(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)


def test_a_folder_appears_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "exports/onnx"
    for content in ("first", "second"):
        with whole_folder(place) as folder:
            fill(folder, content)
            assert not place.exists() or (place / "config.json").read_text() == "first"
        assert (place / "config.json").read_text() == content
        assert [path.name for path in place.parent.iterdir()] == ["onnx"]


def interrupted(place: Path) -> None:
    with whole_folder(place) as folder:
        fill(folder, "second")
        raise KeyboardInterrupt


def test_after_an_error_all_is_as_before(tmp_path: Path) -> None:
    place = tmp_path / "onnx"
    with whole_folder(place) as folder:
        fill(folder, "first")
    with pytest.raises(KeyboardInterrupt):
        interrupted(place)
    assert (place / "config.json").read_text() == "first"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_export_is_not_replaced(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "onnx"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="no export, and would be replaced"), whole_folder(place):
        pass
    assert place.exists()


def test_sizes_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/b", "c"):
        (tmp_path / name).write_bytes(bytes(500_000))
    assert megabytes(tmp_path) == 1.0
    assert megabytes(tmp_path / "c") == 0.5
