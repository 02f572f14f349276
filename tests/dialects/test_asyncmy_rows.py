"""Many rows on MariaDB: sent without their SQL, also where some have no value in a column."""

from datetime import UTC, datetime
from typing import Any

import pytest

from synthorg.persistence.sql.drivers import asyncmy_rows
from synthorg.persistence.sql.drivers.asyncmy_rows import Rows, pieces
from tests.dialects.places import Place, connected, on, task
from tests.dialects.relay import relayed
from tests.servers.mariadb import MariaDB

SQL = "INSERT INTO t (a, b, c) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE b = VALUES(b)"


def test_a_column_without_a_value_is_null_in_the_statement() -> None:
    rows = Rows(SQL, [["a", None, None], ["b", None, 1]])
    assert rows.are_alike
    assert rows.sql_without_nulls == SQL.replace("%s, %s, %s", "%s, NULL, %s")
    assert list(rows.without_nulls) == [("a", None), ("b", 1)]


def test_rows_with_values_everywhere_are_left_as_they_are() -> None:
    rows = Rows(SQL, [["a", "b", 1], ["b", "c", None]])
    assert rows.are_alike
    assert rows.sql_without_nulls == SQL
    assert rows.without_nulls is rows.values


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (SQL, [["a", 1, 1], ["b", 1.5, 1]]),
        (SQL, [["a", datetime(2026, 1, 1, tzinfo=UTC), 1], ["b", "text", 1]]),
        (SQL.replace("VALUES(b)", "'100 %%'"), [["a", None, 1]]),
    ],
    ids=["two types", "a moment and a text", "a percent sign"],
)
def test_what_the_driver_would_not_send_as_it_is_goes_as_text(
    sql: str, values: list[list[Any]]
) -> None:
    assert not Rows(sql, values).are_alike


@pytest.mark.parametrize(
    ("large", "sizes"), [("x", [6]), ("x" * 50, [2, 2, 2]), ("ä" * 50, [1, 1, 1, 1, 1, 1])]
)
def test_rows_are_cut_into_pieces_that_a_server_takes(
    large: str, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncmy_rows, "BYTES_AT_ONCE", 210)
    rows = [[str(number), large] for number in range(6)]
    found = list(pieces(rows))
    assert [len(piece) for piece in found] == sizes
    assert [row for piece in found for row in piece] == rows


@on(MariaDB)
async def test_many_records_are_sent_without_their_sql_in_a_transaction_and_outside(
    place: Place,
) -> None:
    async with relayed(place.url) as (url, relay), connected(url) as backend:
        for copy in ("warms up", "counts"):
            relay.sent.clear()
            tasks = [task(f"{copy} {number}") for number in range(700)]
            await backend.tasks.save_many(tasks)
            async with backend.transaction() as unit:
                await unit.tasks.save_many(tasks[:2])
            assert set(await backend.tasks.list_tasks()) >= set(tasks)
        assert b"counts 699" in relay.sent
        assert b"INSERT" not in relay.sent
