"""The largest, the smallest and the earliest values, in every field that admits them."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final

from sqlalchemy import BigInteger, Double

from synthorg.entities.base import LARGEST_INTEGER, LONGEST_SUMMARY
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.sql.types import JsonDocument, LongText, UtcDateTime
from synthorg.persistence.testing.awkward import TIMES
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import TASK_METRICS, kinds
from tests.tables import table_of

MEBIBYTE: Final = 2**20
LONG_TEXT: Final = ("ab\u00df\U0001f98a'\"\\\n%" * MEBIBYTE)[:MEBIBYTE]
LONG_VALUES: Final = {
    "context_json": '{"text": "' + "\u00df\U0001f98a\\n" * (MEBIBYTE // 4) + '"}',
    "deadline": "2024-04-01",
    "interaction_summary": LONG_TEXT[:LONGEST_SUMMARY],
}
NUMBERS: Final = (5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1 / 3)
SCORES: Final = {
    "quality_score": 10.0,
    "conflict_constructiveness": 5e-324,
    "meeting_contribution": 1.0,
    "handoff_completeness": 0.1 + 0.2,
}


def columns_of(kind: Kind, type_: type[Any]) -> Iterator[str]:
    """Name the fields that are stored in columns of a type."""
    for column in table_of(kind).columns:
        if isinstance(column.type, type_) and column.name in kind.fields:
            yield column.name


@kinds(lambda kind: any(columns_of(kind, LongText)))
async def test_texts_of_a_mebibyte_come_back_whole(backend: PersistenceBackend, kind: Kind) -> None:
    record = kind.make(
        **{name: LONG_VALUES.get(name, LONG_TEXT) for name in columns_of(kind, LongText)}
    )
    await kind.store(backend, record)
    assert await kind.stored(backend, record) == record


@kinds(lambda kind: "metadata" in columns_of(kind, JsonDocument) and kind.repository != "messages")
async def test_long_texts_inside_a_document_come_back_whole(
    backend: PersistenceBackend, kind: Kind
) -> None:
    record = kind.make(metadata={LONG_TEXT: LONG_TEXT})
    await kind.store(backend, record)
    assert await kind.stored(backend, record) == record


@kinds(lambda kind: any(columns_of(kind, BigInteger)))
async def test_the_largest_whole_numbers_come_back_exactly(
    backend: PersistenceBackend, kind: Kind
) -> None:
    counts = set(columns_of(kind, BigInteger)) - {"version"}
    record = kind.make(**dict.fromkeys(counts, LARGEST_INTEGER))
    await kind.store(backend, record)
    assert await kind.stored(backend, record) == record


@kinds(lambda kind: any(columns_of(kind, Double)))
async def test_numbers_come_back_to_the_last_bit(backend: PersistenceBackend, kind: Kind) -> None:
    for number in NUMBERS:
        record = kind.fresh(
            kind.make(**{name: SCORES.get(name, number) for name in columns_of(kind, Double)})
        )
        await kind.store(backend, record)
        assert await kind.stored(backend, record) == record


@kinds(lambda kind: any(columns_of(kind, UtcDateTime)))
async def test_times_of_any_zone_come_back_in_utc_to_the_microsecond(
    backend: PersistenceBackend, kind: Kind
) -> None:
    # A start has to be before the end, which is what the other time of a metric is.
    example = kind.make(started_at=None) if kind is TASK_METRICS else kind.example
    times = [name for name in columns_of(kind, UtcDateTime) if getattr(example, name) is not None]
    for time in TIMES:
        record = kind.fresh(kind.altered(example, **dict.fromkeys(times, time)))
        await kind.store(backend, record)
        stored = await kind.stored(backend, record)
        assert [getattr(stored, name) for name in times] == [time.astimezone(UTC)] * len(times)
        assert all(getattr(stored, name).tzinfo is UTC for name in times)
