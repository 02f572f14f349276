"""Arguments that no call can mean are refused by name, before anything is sent.

That nothing is sent shows on a database without tables, which would refuse it otherwise.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final
from uuid import uuid4

import pytest

from synthorg.entities import SYSTEM_USER_ID, TaskStatus
from synthorg.persistence import (
    InvalidArgumentError,
    PersistenceBackend,
    PersistenceConfig,
    SQLiteConfig,
    UnitOfWork,
    UsageError,
    create_backend,
)
from synthorg.persistence.sqlite import SQLitePersistenceBackend
from synthorg.persistence.testing.backend.bulk import keyed
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import MOMENT, PRESETS, SETTINGS, TASKS, USERS, kinds
from synthorg.persistence.testing.listings import LISTINGS
from synthorg.persistence.testing.walks import Walk, walks
from synthorg.persistence.transactions import Stores, TransactionalBackend
from tests.tables import table_of

Call = Callable[..., Awaitable[object]]


async def _nothing() -> AsyncIterator[Any]:
    items: tuple[Any, ...] = ()
    for item in items:
        yield item


async def _streamed(stream: AsyncIterator[Any]) -> list[Any]:
    return [record async for record in stream]


async def test_a_filter_that_no_record_can_match_is_refused_with_what_it_may_be(
    unmigrated: Stores,
) -> None:
    calls: dict[str, Call] = {
        "list tasks: status": lambda to: unmigrated.tasks.list_tasks(status=to),
        "list audit_entries: verdict": lambda to: unmigrated.audit_entries.query(verdict=to),
        "list audit_entries: risk_level": lambda to: unmigrated.audit_entries.query(risk_level=to),
        "list lifecycle_events: event_type": lambda to: unmigrated.lifecycle_events.list_events(
            event_type=to
        ),
        "count users: role": unmigrated.users.count_by_role,
        "list artifacts: artifact_type": lambda to: unmigrated.artifacts.list_artifacts(
            artifact_type=to
        ),
        "list projects: status": lambda to: unmigrated.projects.list_projects(status=to),
        "list workflow_definitions: workflow_type": (
            lambda to: unmigrated.workflow_definitions.list_definitions(workflow_type=to)
        ),
        "list workflow_executions: status": unmigrated.workflow_executions.list_by_status,
    }
    for subject, call in calls.items():
        for value in ("nope", "ASSIGNED", "", 5, True, b"assigned", ["assigned"], uuid4()):
            with pytest.raises(
                InvalidArgumentError, match=rf"cannot {subject} must be one of \w+, \w+"
            ):
                await call(value)
    with pytest.raises(
        InvalidArgumentError, match=r"list tasks: status must be one of created, assigned, "
    ):
        await unmigrated.tasks.page(status="nope")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=r"list tasks: status must be one of "):
        await _streamed(unmigrated.tasks.stream(status="nope"))  # type: ignore[arg-type]


async def test_what_is_no_filter_of_a_list_is_a_type_error_also_when_it_is_none(
    unmigrated: Stores,
) -> None:
    for listing in LISTINGS:
        list_: Call = getattr(getattr(unmigrated, listing.kind.repository), listing.method)
        required = dict.fromkeys(listing.required, "x")
        for unknown in ("colour", "after_id", "offset", *(["limit"] * (not listing.limited))):
            for value in ("x", None):
                with pytest.raises(TypeError, match=unknown):
                    await list_(**required, **{unknown: value})
        for missing in listing.required:
            with pytest.raises(TypeError, match=missing):
                await list_()


async def test_what_is_no_filter_of_a_sum_or_a_count_is_a_type_error(unmigrated: Stores) -> None:
    calls: Sequence[tuple[str, Call]] = [
        ("sum cost_records", unmigrated.cost_records.aggregate),
        ("sum cost_records", partial(unmigrated.cost_records.totals, ["day"])),
        ("count tasks", unmigrated.tasks.count_by_status),
        ("list checkpoints", partial(unmigrated.checkpoints.get_latest, task_id="task-1")),
    ]
    for subject, call in calls:
        for value in ("x", None):
            with pytest.raises(TypeError, match=f"cannot {subject} by colour"):
                await call(colour=value)


async def test_a_filter_may_be_the_plain_text_of_a_member(backend: TransactionalBackend) -> None:
    task = TASKS.make(status=TaskStatus.BLOCKED)
    await backend.tasks.save(task)
    status: Any = "blocked"
    assert await backend.tasks.list_tasks(status=status) == (task,)


@kinds()
async def test_what_is_saved_has_to_be_a_record_of_its_kind(
    unmigrated: PersistenceBackend, kind: Kind
) -> None:
    other = USERS.example if kind is TASKS else TASKS.example
    name = type(kind.example).__name__
    records: list[Any] = [None, {"id": "x"}, other, "text", (1, 2), type(kind.example)]
    repository: Any = getattr(unmigrated, kind.repository)
    for record in records:
        for many in ([kind.example, record], (each for each in [record])):
            with pytest.raises(
                InvalidArgumentError, match=rf"save {kind.repository}.* {name}, not "
            ):
                await repository.save_many(many)
        if kind not in (PRESETS, SETTINGS):
            with pytest.raises(
                InvalidArgumentError, match=rf"save {kind.repository}.* {name}, not "
            ):
                await repository.save(record)


@kinds()
async def test_many_records_have_to_come_in_an_iterable(
    unmigrated: PersistenceBackend, kind: Kind
) -> None:
    name = type(kind.example).__name__
    several: list[Any] = [None, 5, kind.example, "text", _nothing]
    repository: Any = getattr(unmigrated, kind.repository)
    for records in several:
        with pytest.raises(
            InvalidArgumentError, match=rf"save {kind.repository}: .*\b{name}, not (one \w+|None)$"
        ):
            await repository.save_many(records)


@kinds()
async def test_a_field_that_every_record_has_must_not_be_none(
    unmigrated: PersistenceBackend, kind: Kind
) -> None:
    for name in kind.fields:
        if not table_of(kind).columns[name].nullable:
            forged = kind.forged(kind.example, **{name: None})
            with pytest.raises(
                InvalidArgumentError, match=rf"save {kind.repository}.*\b{name} must "
            ):
                await kind.save(unmigrated, forged)


@kinds(keyed)
async def test_a_key_is_some_text(unmigrated: PersistenceBackend, kind: Kind) -> None:
    key = kind.key[0]
    repository: Any = getattr(unmigrated, kind.repository)
    for value in (None, 1.5, 1, True, b"x", ["x"], ("x",), object()):
        for call in (repository.get, repository.delete):
            with pytest.raises(
                InvalidArgumentError, match=rf"{kind.repository}: {key} must (be text|not be)"
            ):
                await call(value)
        for call in (repository.get_many, repository.delete_many):
            with pytest.raises(
                InvalidArgumentError, match=rf"{kind.repository}: {key} must be text"
            ):
                await call(["x", value])


@kinds(keyed)
async def test_many_keys_have_to_come_in_an_iterable(
    unmigrated: PersistenceBackend, kind: Kind
) -> None:
    repository: Any = getattr(unmigrated, kind.repository)
    for keys in ("abc", b"abc", "", None, 5, uuid4(), _nothing()):
        for action in ("get", "delete"):
            with pytest.raises(
                InvalidArgumentError,
                match=rf"{action} {kind.repository}: keys must be an iterable of keys",
            ):
                await getattr(repository, f"{action}_many")(keys)


@kinds(keyed)
async def test_many_keys_find_what_each_of_them_finds(
    backend: TransactionalBackend, kind: Kind
) -> None:
    key = uuid4()
    record = kind.keyed(str(key))
    await kind.store(backend, record)
    repository: Any = getattr(backend, kind.repository)
    found = await repository.get_many([key, str(key), "unknown"])
    assert found == {key: record, str(key): record}
    assert await repository.get(key) == await repository.get(str(key)) is not None
    assert await repository.delete_many([key, str(key)]) == 1
    assert await repository.get_many([key]) == {}


async def test_an_error_of_the_callers_keys_comes_out_unchanged(
    backend: TransactionalBackend,
) -> None:
    own = ValueError("no more keys")

    def keys() -> Iterator[str]:
        yield TASKS.example.id
        raise own

    await backend.tasks.save(TASKS.example)
    for call in (backend.tasks.get_many, backend.tasks.delete_many):
        with pytest.raises(ValueError, match=r"no more keys") as raised:
            await call(keys())
        assert raised.value is own
    assert await backend.tasks.get(TASKS.example.id) is not None


async def test_the_system_user_is_not_deleted_by_its_key_in_any_form(unmigrated: Stores) -> None:
    class Name(str):
        __slots__ = ()

    for key in (SYSTEM_USER_ID, Name(SYSTEM_USER_ID)):
        with pytest.raises(InvalidArgumentError, match=r"system user"):
            await unmigrated.users.delete(key)
        with pytest.raises(InvalidArgumentError, match=r"system user"):
            await unmigrated.users.delete_many(["1", key])


@walks()
async def test_a_page_needs_a_limit_and_a_cursor_or_none(unmigrated: Stores, walk: Walk) -> None:
    required = {name: MOMENT if name == "threshold" else "pending" for name in walk.required}
    limits: list[Any] = ["5", True, None, 5.0, [], b"5"]
    for limit in limits:
        with pytest.raises(
            InvalidArgumentError,
            match=rf"list {walk.kind.repository}: limit must be a whole number",
        ):
            await walk.page(unmigrated, required, limit=limit)
    cursors: list[Any] = [5, True, b"", "", [], {}, uuid4()]
    for after in cursors:
        with pytest.raises(
            InvalidArgumentError, match=rf"list {walk.kind.repository}: after is not a cursor"
        ):
            await walk.page(unmigrated, required, limit=5, after=after)


@walks(lambda walk: walk.required)
async def test_what_a_list_requires_must_not_be_none(unmigrated: Stores, walk: Walk) -> None:
    for name in walk.required:
        nothing = {name: None}
        refusal = rf"list {walk.kind.repository}: {name} must not be None"
        with pytest.raises(InvalidArgumentError, match=refusal):
            await walk.page(unmigrated, nothing, limit=5)
        with pytest.raises(InvalidArgumentError, match=refusal):
            await _streamed(walk.stream(unmigrated, nothing))
        with pytest.raises(InvalidArgumentError, match=refusal):
            await getattr(getattr(unmigrated, walk.kind.repository), walk.method)(None)


NOTHING: Final[dict[str, Call]] = {
    "get users: username": lambda stores: stores.users.get_by_username(None),
    "count users: role": lambda stores: stores.users.count_by_role(None),
    "get api_keys: key_hash": lambda stores: stores.api_keys.get_by_hash(None),
    "list parked_contexts: approval_id": lambda stores: stores.parked_contexts.get_by_approval(
        None
    ),
    "delete checkpoints: execution_id": lambda stores: stores.checkpoints.delete_by_execution(None),
    "list workflow_executions: status": lambda stores: stores.workflow_executions.list_by_status(
        None
    ),
    "get settings: namespace": lambda stores: stores.settings.get(None, "key"),
    "get settings: key": lambda stores: stores.settings.get("namespace", None),
    "list settings: namespace": lambda stores: stores.settings.get_namespace(None),
    "delete settings: namespace": lambda stores: stores.settings.delete_namespace(None),
    "delete settings: key": lambda stores: stores.settings.delete("namespace", None),
    "save settings: key": lambda stores: stores.settings.set("namespace", None, "1", "now"),
    r"save settings \(.*\): value": lambda stores: stores.settings.set("a", "b", None, "now"),
    r"save settings \(.*\): updated_at": lambda stores: stores.settings.set(
        "a", "b", "1", None, expected_updated_at="then"
    ),
    "save custom_presets: name": lambda stores: stores.custom_presets.save(None, "{}", "", "", ""),
}
"""Calls that need what they are given None for."""


@pytest.mark.parametrize("subject", NOTHING)
async def test_none_where_something_is_needed_is_refused_by_name(
    unmigrated: Stores, subject: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"cannot {subject} must not be None"):
        await NOTHING[subject](unmigrated)


async def test_a_setting_of_the_system_has_a_key_and_a_value(
    unmigrated: PersistenceBackend,
) -> None:
    nothing: Any = None
    with pytest.raises(InvalidArgumentError, match=r"get settings: key must not be None"):
        await unmigrated.get_setting(nothing)
    with pytest.raises(InvalidArgumentError, match=r"save settings: key must not be None"):
        await unmigrated.set_setting(nothing, "value")
    with pytest.raises(InvalidArgumentError, match=r"save settings .*: value must not be None"):
        await unmigrated.set_setting("key", nothing)


async def test_what_is_run_in_a_transaction_has_to_be_an_async_function(
    backend: TransactionalBackend,
) -> None:
    def save(unit: UnitOfWork) -> object:
        return unit

    works: list[Any] = [None, 5, "text", backend.transaction(), save]
    for work in works:
        with pytest.raises(UsageError, match=r"must be an async function of a unit of work"):
            await backend.run_in_transaction(work)
    assert await backend.tasks.list_tasks() == ()


async def test_a_transaction_is_read_only_or_not(backend: TransactionalBackend) -> None:
    choices: list[Any] = [None, 1, "x", "False"]
    for choice in choices:
        with pytest.raises(UsageError, match=r"read_only must be True or False"):
            async with backend.transaction(read_only=choice):
                pass


def test_a_backend_is_made_of_a_configuration() -> None:
    others: list[Any] = [None, "sqlite:///file.db", {"backend": "sqlite"}, SQLiteConfig()]
    for other in others:
        with pytest.raises(UsageError, match=r"PersistenceConfig.* not of a \w+"):
            create_backend(other)
    for other in [*others[:3], PersistenceConfig()]:
        with pytest.raises(UsageError, match=r"SQLiteConfig, not of a \w+"):
            SQLitePersistenceBackend(other)


async def test_groups_that_are_no_groups_are_refused(unmigrated: Stores) -> None:
    groups: list[Any] = [None, 5, "day", "", [1], [["day"]], [None], {}, [b"day"], _nothing()]
    for by in groups:
        with pytest.raises(
            InvalidArgumentError, match=r"sum cost_records: by must be one or more of agent_"
        ):
            await unmigrated.cost_records.totals(by)
