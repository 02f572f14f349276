"""A password that is in a file, as secrets are in containers, and may change there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from tests.dialects.places import WAYS, Way, connected, task, with_parameters
from tests.servers.base import go_without

WRONG = "S3CRET-pa55"


@pytest.fixture(scope="module", params=WAYS, ids=str)
def place(request: pytest.FixtureRequest) -> Iterator[URL]:
    """A database on a server that asks for passwords, which one of this machine may not do."""
    way: Way = request.param
    private = next(way.kind.private_ways(), None)
    if private is None:
        go_without(way.kind.name, "no programs of it are installed to start a private one")
    with private as server, server.migrated_database() as url:
        yield make_url(way.place(url).url)


@pytest.fixture
def password(place: URL) -> str:
    """The password that the server asks for."""
    assert place.password is not None
    return str(place.password)


@pytest.fixture
def url(place: URL) -> str:
    """The database, without the password."""
    return place._replace(password=None).render_as_string(hide_password=False)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
async def test_a_file_has_the_password_with_or_without_a_line_break(
    url: str, password: str, tmp_path: Path, end: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(f"{password}{end}".encode())

    async with connected(url, password_file=file) as backend:
        await backend.tasks.save(task("one"))
        async with backend.get_db().connect():
            assert await backend.tasks.get("one") is not None


async def test_each_connection_takes_the_password_that_is_in_the_file_by_then(
    url: str, password: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(password)

    async with connected(url, password_file=file) as backend:
        await backend.disconnect()
        file.write_text(WRONG)
        with pytest.raises(PersistenceConnectionError) as refused:
            await backend.connect()
        file.write_text(password)
        await backend.connect()
        await backend.tasks.save(task("one"))

    assert WRONG not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (WRONG.encode() + b"\xff", "it is not UTF-8"),
        (WRONG.encode() + b"\x00", "must not contain a NUL character"),
    ],
)
async def test_a_file_without_a_password_is_named_with_the_reason(
    url: str, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    backend = create_backend(PersistenceConfig.from_url(with_parameters(url, password_file=file)))

    with pytest.raises(PersistenceConnectionError) as refused:
        await backend.connect()

    assert f"cannot read the password in {file}: {reason}" in str(refused.value)
    assert WRONG not in str(refused.value)
