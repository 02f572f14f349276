"""No password, hash or value shows in an error, in what is behind it, or in a log."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import pytest
from sqlalchemy import insert, update

from synthorg.entities import HumanRole
from synthorg.persistence import PersistenceBackend, PersistenceError
from synthorg.persistence.sql import tables
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    AUDIT_ENTRIES,
    CHECKPOINTS,
    EXECUTIONS,
    MOMENT,
    USERS,
)

SECRET: Final = "the-secret"
PASSWORD_HASH: Final = f"$argon2id${SECRET}-hash-of-a-password"
KEY_HASH: Final = f"{SECRET}-hash-of-a-key"
USER: Final = USERS.make(password_hash=PASSWORD_HASH, role=HumanRole.CEO)
KEY: Final = API_KEYS.make(key_hash=KEY_HASH, user_id=USER.id)

Mishap = Callable[[PersistenceBackend], Awaitable[object]]


def save_user(**changes: object) -> Mishap:
    """Save a user like the one there is, but for some fields."""
    return lambda backend: backend.users.save(USERS.forged(USER, **changes))


def save_key(**changes: object) -> Mishap:
    """Save a key like the one there is, but for some fields."""
    return lambda backend: backend.api_keys.save(API_KEYS.forged(KEY, **changes))


async def read_damaged_user(backend: PersistenceBackend) -> None:
    """Read a user whose role is nonsense."""
    async with backend.get_db().begin() as connection:
        await connection.execute(update(tables.users).values(role=SECRET, password_hash=SECRET))
    await backend.users.get(USER.id)


async def read_damaged_key(backend: PersistenceBackend) -> None:
    """Read a key whose role is nonsense."""
    async with backend.get_db().begin() as connection:
        await connection.execute(update(tables.api_keys).values(role=SECRET))
    await backend.api_keys.get_by_hash(KEY_HASH)


async def save_entry_again(backend: PersistenceBackend) -> None:
    """Save an audit entry twice."""
    for _ in range(2):
        await backend.audit_entries.save(AUDIT_ENTRIES.make(reason=SECRET, tool_name=SECRET))


MISHAPS: Final[dict[str, Mishap]] = {
    "a taken username": save_user(id="other", role=HumanRole.OBSERVER),
    "a second ceo": save_user(id="other", username="other"),
    "a username with NUL": save_user(username=f"{SECRET}\x00"),
    "a password hash with NUL": save_user(password_hash=PASSWORD_HASH + "\x00"),
    "a password hash with a lone surrogate": save_user(password_hash=PASSWORD_HASH + "\ud800"),
    "a password hash that is no text": save_user(password_hash=PASSWORD_HASH.encode()),
    "a username that is too long": save_user(username=SECRET * 100),
    "a role that is too long": save_user(role=SECRET * 100),
    "a time without a zone": save_user(updated_at=MOMENT.replace(tzinfo=None)),
    "a flag that is no flag": save_user(must_change_password=SECRET),
    "a taken key hash": save_key(id="other"),
    "a key of an unknown user": save_key(id="other", user_id="unknown", key_hash=KEY_HASH + "2"),
    "a key hash that is too long": save_key(key_hash=KEY_HASH * 100),
    "a key hash with NUL": lambda backend: backend.api_keys.get_by_hash(KEY_HASH + "\x00"),
    "a username to look for with NUL": lambda backend: backend.users.get_by_username(
        SECRET + "\x00"
    ),
    "a damaged user": read_damaged_user,
    "a damaged key": read_damaged_key,
    "an execution of an unknown definition": lambda backend: backend.workflow_executions.save(
        EXECUTIONS.make(error=SECRET)
    ),
    "an audit entry that exists": save_entry_again,
    "a count that the database refuses": lambda backend: backend.checkpoints.save(
        CHECKPOINTS.forged(CHECKPOINTS.example, context_json=SECRET, turn_number=-1)
    ),
}
"""What can go wrong while a secret is among the values."""


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that this library and the driver say, and the statements that SQLAlchemy sends."""
    # The last of them also sets the level of the handler.
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"), caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("name", MISHAPS)
async def test_what_goes_wrong_is_told_without_the_values(
    backend: PersistenceBackend, log: pytest.LogCaptureFixture, name: str
) -> None:
    await backend.users.save(USER)
    await backend.api_keys.save(KEY)
    with pytest.raises(PersistenceError) as mishap:
        await MISHAPS[name](backend)
    for error in chain(mishap.value):
        for told in (str(error), repr(error), repr(error.args), repr(vars(error))):
            assert SECRET not in told
    assert SECRET not in "".join(traceback.format_exception(mishap.value))
    assert SECRET not in log.text


async def test_what_goes_well_is_not_logged_with_its_values(
    backend: PersistenceBackend, log: pytest.LogCaptureFixture
) -> None:
    await backend.users.save(USER)
    await backend.api_keys.save(KEY)
    await backend.users.get_by_username(USER.username)
    await backend.api_keys.get_by_hash(KEY_HASH)
    await backend.users.delete(USER.id)
    assert SECRET not in log.text


async def test_an_unmigrated_database_is_reported_without_the_values(
    unmigrated: PersistenceBackend, log: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PersistenceError) as mishap:
        await unmigrated.users.save(USER)
    assert SECRET not in "".join(traceback.format_exception(mishap.value))
    assert SECRET not in log.text


async def test_an_error_of_the_engine_itself_hides_the_parameters(
    backend: PersistenceBackend,
) -> None:
    row = {**dict(USER), "role": "ceo"}
    async with backend.get_db().begin() as connection:
        await connection.execute(insert(tables.users), row)
    with pytest.raises(Exception, match="users") as mishap:
        async with backend.get_db().begin() as connection:
            await connection.execute(insert(tables.users), row)
    assert SECRET not in str(mishap.value)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Follow an error to what caused it, and what it happened in."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += (current.__cause__, current.__context__)
