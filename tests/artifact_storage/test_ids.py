import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthorg.persistence.errors import RecordNotFoundError
from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage
from tests.artifact_storage.helpers import paths

REFUSED = [
    *("", " ", "\t\n", ".", "..", "...", ".. ", ". ."),
    *("/", "/etc/passwd", "../x", "a/../../x", "a/b", "a/", "./a"),
    *("\\", "..\\x", "a\\b", "C:\\x", "\\\\server\\share", "C:", "c:x"),
    *("a\x00", "\x00", "\ud800", "a" * 256, "é" * 256),
    *(
        "CON",
        "con",
        "nul.txt",
        "NUL .tar.gz",
        "aux:",
        "prn  ",
        "COM1",
        "lpt9.log",
        "com²",
        "CONIN$",
    ),
]
ACCEPTED = [
    *("a", "a" * 255, "é" * 255, "😀" * 255, "a..b", "..a", ".hidden", "-rf", "~", "$HOME", "*"),
    *("artifact:1", "console", "com", "com10", "null", "icon", "a.nul", " a ", "a\nb", "lock"),
]
TWINS = [
    ("report", "Report"),
    ("straße", "STRASSE"),
    (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
    ("ﬁle", "file"),
    ("a", "a "),
    ("a", "a."),
    ("a", "a.content"),
]


@pytest.mark.parametrize("artifact_id", REFUSED, ids=ascii)
async def test_an_id_that_is_more_than_a_name_is_refused_before_any_file_is_touched(
    storage: FileSystemArtifactStorage, tmp_path: Path, artifact_id: str
) -> None:
    for attempt in (
        storage.store(artifact_id, b"report"),
        storage.retrieve(artifact_id),
        storage.delete(artifact_id),
        storage.exists(artifact_id),
    ):
        with pytest.raises(ValueError, match="id of an artifact must not") as caught:
            await attempt
        assert str(caught.value).isascii()
    assert paths(tmp_path) == set()


async def test_an_id_is_text(storage: FileSystemArtifactStorage, tmp_path: Path) -> None:
    ids: list[Any] = [None, 5, b"report", ["report"], uuid4()]
    for artifact_id in ids:
        for attempt in (
            storage.store(artifact_id, b"report"),
            storage.retrieve(artifact_id),
            storage.delete(artifact_id),
            storage.exists(artifact_id),
        ):
            with pytest.raises(ValueError, match="id of an artifact must be text"):
                await attempt
    assert paths(tmp_path) == set()


@pytest.mark.parametrize("artifact_id", ACCEPTED, ids=ascii)
async def test_an_id_that_is_a_name_is_accepted(
    storage: FileSystemArtifactStorage, artifact_id: str
) -> None:
    await storage.store(artifact_id, b"report")
    assert await storage.retrieve(artifact_id) == b"report"


@pytest.mark.parametrize(("one", "other"), TWINS)
async def test_ids_that_a_file_system_may_confuse_are_different(
    storage: FileSystemArtifactStorage, data_dir: Path, one: str, other: str
) -> None:
    await storage.store(one, b"one")
    assert not await storage.exists(other)
    with pytest.raises(RecordNotFoundError):
        await storage.retrieve(other)
    await storage.store(other, b"other")
    assert await storage.retrieve(one) == b"one"
    names = {path.casefold() for path in paths(data_dir) if path.endswith(".content")}
    assert len(names) == 2
    assert all(name.isascii() for name in names)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "C:", "\x00", " ", "nul"])).map("".join)
)
async def test_no_id_leads_out_of_the_folder(artifact_id: str) -> None:
    with tempfile.TemporaryDirectory() as outside:
        storage = FileSystemArtifactStorage(Path(outside, "data"))
        try:
            await storage.store(artifact_id, b"report")
        except ValueError:
            assert paths(Path(outside)) == set()
        else:
            assert await storage.retrieve(artifact_id) == b"report"
            in_order = sorted(paths(Path(outside)), key=len)
            assert in_order[:3] == ["data", "data/artifacts", "data/artifacts/lock"]
            assert re.fullmatch(r"data/artifacts/[0-9a-f]{64}\.content", in_order[3])
            assert len(in_order) == 4
