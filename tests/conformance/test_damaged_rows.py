"""A stored row that somebody has made nonsense of is reported by table and key."""

from collections.abc import Sequence

import pytest

from synthorg.persistence import PersistenceBackend, QueryError
from synthorg.persistence.testing.kind import Kind
from tests.conformance.damage import INTACT, check_discretion, damages, store_damaged


@pytest.mark.parametrize(
    ("kind", "column", "texts"),
    [pytest.param(*damage, id=f"{damage[0]}.{damage[1]}") for damage in damages()],
)
async def test_a_damaged_row_is_reported_by_table_and_key_and_never_by_its_values(
    backend: PersistenceBackend, kind: Kind, column: str, texts: Sequence[str]
) -> None:
    intact = INTACT.get(kind, kind.example)
    await kind.store(backend, intact)
    for number, text in enumerate(texts):
        damaged = kind.keyed(f"damaged-{number}")
        await store_damaged(backend, kind, damaged, **{column: text})
        for get in kind.gets:
            with pytest.raises(QueryError, match=report_on(kind, column)) as report:
                await get(backend, damaged)
            assert str(kind.identity(damaged)[-1]) in str(report.value)
            check_discretion(report.value)
    for list_ in kind.lists:
        # A list by that column is not asked for what no record of this version has.
        refused = rf"list {kind.repository}: \w+ must be one of "
        with pytest.raises(QueryError, match=rf"{report_on(kind, column)}|{refused}") as report:
            await list_(backend, kind.forged(intact, **{column: texts[0]}))
        check_discretion(report.value)
    for get in kind.gets:
        assert await get(backend, intact) == intact


def report_on(kind: Kind, column: str) -> str:
    """Make a pattern for errors that tell where the damage is."""
    return rf"read {kind.repository} \(.+=.+\): .*\b{column}\b"
