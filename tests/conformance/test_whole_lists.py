"""Lists of all records, of those kinds whose other lists are narrowed, and of all channels."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    CHECKPOINTS,
    HEARTBEATS,
    MESSAGES,
    MOMENT,
    PARKED_CONTEXTS,
)
from synthorg.persistence.transactions import TransactionalBackend

Case = tuple[Kind, str, str, tuple[str, ...], bool]

CASES: Final[Sequence[Case]] = (
    (PARKED_CONTEXTS, "list_contexts", "parked_at", ("parked_at", "id"), True),
    (API_KEYS, "list_keys", "created_at", ("created_at", "id"), True),
    (
        HEARTBEATS,
        "list_heartbeats",
        "last_heartbeat_at",
        ("last_heartbeat_at", "execution_id"),
        False,
    ),
    (CHECKPOINTS, "list_checkpoints", "created_at", ("id",), False),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0].repository))
async def test_all_records_are_listed_paged_and_streamed_in_one_order(
    backend: TransactionalBackend, case: Case
) -> None:
    kind, method, time, order, is_descending = case
    records = [
        kind.altered(kind.keyed(f"{number:02}"), **{time: MOMENT + timedelta(seconds=number % 4)})
        for number in range(12)
    ]
    await kind.store(backend, *records)
    expected = sorted(
        records,
        key=lambda record: [getattr(record, name) for name in order],
        reverse=is_descending,
    )

    assert await listed(getattr(backend, kind.repository), method) == [expected] * 3
    async with backend.transaction() as work:
        assert await listed(getattr(work, kind.repository), method) == [expected] * 3


async def listed(store: Any, method: str) -> list[list[Any]]:
    paged: list[Any] = []
    page = await store.page(limit=5)
    paged += page.items
    while page.next_cursor is not None:
        page = await store.page(limit=5, after=page.next_cursor)
        paged += page.items
    return [[*await getattr(store, method)()], [each async for each in store.stream()], paged]


async def test_channels_are_listed_once_each_in_order(backend: TransactionalBackend) -> None:
    assert await backend.messages.channels() == ()
    names = ("#b", "#a", "#B", "ä", "#a ", "#c")
    await backend.messages.save_many(
        MESSAGES.make(id=UUID(int=number), channel=names[number % len(names)])
        for number in range(60)
    )
    assert await backend.messages.channels() == tuple(sorted(names))
    async with backend.transaction() as work:
        await work.messages.save(MESSAGES.make(id=UUID(int=100), channel="#d"))
        assert await work.messages.channels() == tuple(sorted([*names, "#d"]))
