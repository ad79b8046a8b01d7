"""Messages from elsewhere: had or refused, in our classes, and less what stands in ours."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from http_server import refusing, serving

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import External, Params, check_params, load_params
from spam_gpt2.data.external import bare, map_labels, obtain, read_external, unknown_messages
from spam_gpt2.data.messages import read_messages

LABELS = ["ham", "spam"]
TABLE = b"LABEL,TEXT,URL\nham,See you,No\nSmishing,Pay now,yes\nsmishing,Pay up,yes\nSpam,Win,No\n"
SHARED_DIR = ROOT.parent / "shared/data"
SHARED_PATH = SHARED_DIR / "external/Dataset_5971.csv"
NEEDS_SHARED = pytest.mark.skipif(not SHARED_PATH.is_file(), reason=f"no {SHARED_PATH}")


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def messages(*labels: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"line": range(2, len(labels) + 2), "label": labels, "text": [f"text {k}" for k in labels]}
    )


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_labels_are_mapped_whatever_their_case() -> None:
    found = map_labels(
        messages("ham", "HAM", "Smishing", "smishing", "SPAM"), LABELS, {"smishing": "spam"}, "x"
    )
    assert found["label"].tolist() == ["ham", "ham", "spam", "spam", "spam"]
    assert found["origin"].tolist() == ["ham", "ham", "smishing", "smishing", "spam"]
    assert found["line"].tolist() == [2, 3, 4, 5, 6]


def test_a_class_may_be_mapped_to_another() -> None:
    found = map_labels(messages("spam", "ham"), LABELS, {"spam": "ham", "ham": "spam"}, "x")
    assert found["label"].tolist() == ["ham", "spam"]


def test_classes_that_differ_in_case_alone_are_told_apart() -> None:
    labels = ["Spam", "ham", "spam"]
    assert map_labels(messages("Spam", "spam"), labels, {}, "x")["label"].tolist() == [
        "Spam", "spam",
    ]  # fmt: skip
    with pytest.raises(InputError, match="label 'SPAM'"):
        map_labels(messages("SPAM"), labels, {}, "x")


def test_a_label_that_is_no_class_is_one_line_with_the_remedy() -> None:
    with pytest.raises(InputError) as caught:
        map_labels(messages("ham", "phish"), LABELS, {"smishing": "spam"}, "external.mine")
    assert str(caught.value) == (
        "external.mine: label 'phish' (line 3) is none of ham, spam, smishing; say which class it "
        "is, as in map: {phish: spam}"
    )
    with pytest.raises(InputError, match=r"external\.mine\.map: 'spm' is none of the classes ham"):
        map_labels(messages("ham"), LABELS, {"smishing": "spm"}, "external.mine")


def test_a_text_is_known_whatever_its_case_blanks_and_punctuation() -> None:
    known = ["You WON £100! Call 08001", "see you, at 10", ":)", "Привет!"]
    table = pd.DataFrame(
        {
            "text": [
                "you won �100 call: 08001.", "See you at10", ":) ", "привет", "see you at 11",
                ":(", "new",
            ],
            "line": range(1, 8),
        }
    )  # fmt: skip
    found = unknown_messages(table, known)
    assert found["line"].tolist() == [5, 6, 7]
    assert found.index.tolist() == [0, 1, 2]
    assert bare("A_b-C 1") == "abc1"


def test_a_file_here_is_read_when_it_is_the_one_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(TABLE)
    entry = External(
        name="own", path=str(path), sha256=digest(TABLE), map={"smishing": "spam"},
    )  # fmt: skip
    found = read_external(entry, LABELS)
    assert found["text"].tolist() == ["See you", "Pay now", "Pay up", "Win"]
    assert found["label"].tolist() == ["ham", "spam", "spam", "spam"]
    path.write_bytes(TABLE + b"ham,more,No\n")
    with pytest.raises(InputError, match=r"not the file of external\.own\.sha256: its SHA-256 is"):
        read_external(entry, LABELS)
    path.unlink()
    with pytest.raises(InputError, match=r"no such file; see external\.own\.path"):
        read_external(entry, LABELS)


def test_without_a_digest_the_line_says_which_it_is(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(TABLE)
    with pytest.raises(InputError, match=f"no sha256.* is now {digest(TABLE)}"):
        obtain(External(name="own", path="own.csv"))


def test_an_address_is_fetched_once_and_checked() -> None:
    with serving() as website:
        url = website.add("/a/messages.csv", TABLE)
        entry = External(name="web", url=url, sha256=digest(TABLE), map={"smishing": "spam"})
        assert obtain(entry) == Path("data/external/web.csv")
        assert len(read_external(entry, LABELS)) == 4
        assert len(website.exchanges) == 1
        website.add("/a/messages.csv", TABLE + b"ham,more,No\n")
        assert len(read_external(entry, LABELS)) == 4  # what is there is what was meant
        other = entry.model_copy(update={"name": "other"})
        with pytest.raises(InputError, match="not the expected file: SHA-256"):
            obtain(other)
        assert [path.name for path in Path("data/external").iterdir()] == ["web.csv"]
        website.always(refusing(403))
        with pytest.raises(InputError, match="the server answers 403"):
            obtain(other)


def test_a_member_of_an_archive_is_read_and_nothing_else_is_unpacked() -> None:
    archive = zipped(**{"Dataset.csv": TABLE, "run.py": b"raise SystemExit"})
    with serving() as website:
        url = website.add("/file_downloaded", archive)
        entry = External(name="web", url=url, sha256=digest(archive), member="Dataset.csv")
        assert obtain(entry).read_bytes() == TABLE
        assert {p.name for p in Path("data/external").iterdir()} == {"web.zip", "web.csv"}
        with pytest.raises(InputError, match=r"no member Data\.csv in the archive"):
            obtain(entry.model_copy(update={"member": "Data.csv"}))
        wicked = zipped(**{"../Dataset.csv": TABLE, "Dataset.csv": TABLE})
        url = website.add("/wicked", wicked)
        entry = External(name="wicked", url=url, sha256=digest(wicked), member="Dataset.csv")
        with pytest.raises(InputError, match="leaves the folder"):
            obtain(entry)
        broken = archive[:-30]
        url = website.add("/broken", broken)
        entry = External(name="broken", url=url, sha256=digest(broken), member="Dataset.csv")
        with pytest.raises(InputError, match="damaged archive"):
            obtain(entry)
    assert not Path("Dataset.csv").exists()
    assert not Path("data/Dataset.csv").exists()


def test_advice_names_the_entry_and_not_our_own_file(tmp_path: Path) -> None:
    content = b"kind;body\nham;See you\nspam;Win\n"
    (tmp_path / "own.csv").write_bytes(content)
    entry = External(name="own", path="own.csv", sha256=digest(content))
    with pytest.raises(InputError, match=r"set external\.own\.delimiter: ';'"):
        read_external(entry, LABELS)
    columns = {"label": "kind", "text": "body"}
    values = entry.model_dump(exclude_defaults=True) | {"delimiter": ";", "columns": columns}
    assert read_external(External(**values), LABELS)["text"].tolist() == ["See you", "Win"]


def params(*entries: object) -> Params:
    values = load_params(ROOT / "params.yaml").model_dump()
    return check_params(values | {"external": list(entries)})


FILE = {"name": "a", "path": "a.csv"}


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([{"name": "a"}], "a: either a path or a url"),
        ([FILE | {"url": "https://b"}], "a: either a path or a url"),
        ([{"name": "a", "url": "https://b"}], "a: a url needs the sha256 of what it serves"),
        ([FILE | {"name": "../a"}], "name: must match"),
        ([FILE, FILE], "two of them have the same name"),
        ([FILE | {"sha256": "12"}], "sha256: must match"),
        ([FILE | {"delimeter": ";"}], "delimeter: unknown key"),
        ([FILE | {"delimiter": "ab"}], "'ab' is not one character"),
        ([FILE | {"encoding": "nix"}], "'nix' is no encoding"),
        ([FILE | {"map": {"a": 1}}], "map.a: must be text"),
        ([None], "must hold keys with values"),
        ([FILE | {"member": ""}], "member: must not be empty"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(entries: list, reason: str) -> None:
    with pytest.raises(InputError, match="external") as caught:
        params(*entries)
    assert reason in str(caught.value)


def test_the_entry_that_stands_ready_is_one() -> None:
    """It is commented out in params.yaml."""
    import yaml

    text = (ROOT / "params.yaml").read_text("utf-8").split("external: []\n")[1].split("\n\n")[0]
    entry = yaml.safe_load("\n".join(line.removeprefix("# ") for line in text.splitlines()))[0]
    assert params(entry).external[0].map == {"smishing": "spam"}
    assert params().external == []


@NEEDS_SHARED
def test_882_of_the_phishing_collections_messages_are_new() -> None:
    content = SHARED_PATH.read_bytes()
    entry = External(
        name="sms_phishing", path=str(SHARED_PATH), sha256=digest(content),
        map={"smishing": "spam"},
    )  # fmt: skip
    every = read_external(entry, LABELS)
    assert len(every) == 5_971
    ours = read_messages(SHARED_DIR / "sms/SMSSpamCollection")
    new = unknown_messages(every, ours["text"])
    assert new["origin"].value_counts().to_dict() == {"ham": 463, "smishing": 276, "spam": 143}
