"""A repository that could not work is refused when its class is made, with what to do."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table

from synthorg.persistence import UsageError
from synthorg.persistence.extension import (
    AppendOnlyRepository,
    Entity,
    Key,
    KeyedRepository,
    ListQuery,
    types,
)


class Session(Entity):
    """What somebody does at one time."""

    id: Key
    user: Key


def table_with(*columns: Column[Any]) -> Table:
    return Table("sessions", MetaData(), *columns)


def column(name: str, *, key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, types.ShortText(), primary_key=key, nullable=nullable)


def declare(table: Table, order_by: Sequence[str] = ("id",), base: Any = KeyedRepository) -> None:
    namespace = {
        "table": table,
        "record": Session,
        "listing": ListQuery(table, Session, order_by=order_by),
    }
    type("SessionRepository", (base,), namespace)


def test_a_table_that_fits_is_accepted() -> None:
    declare(table_with(column("id", key=True), column("user")))


def test_a_table_that_lacks_a_field_is_refused() -> None:
    table = table_with(column("id", key=True))

    class Misfit(AppendOnlyRepository[Session]):
        """Without a list, since a list of what is not there cannot be built."""

    with pytest.raises(UsageError, match="sessions: it has no column user; add it"):
        type("SessionRepository", (Misfit,), {"table": table, "record": Session})


def test_a_table_with_a_column_that_nobody_fills_is_refused() -> None:
    table = table_with(column("id", key=True), column("user"), column("place"))

    with pytest.raises(UsageError, match="its column place needs a value"):
        declare(table)


def test_a_column_that_may_be_null_needs_no_field() -> None:
    declare(table_with(column("id", key=True), column("user"), column("place", nullable=True)))


def test_a_table_without_a_key_is_refused() -> None:
    with pytest.raises(UsageError, match="sessions: it has no primary key; declare one"):
        declare(table_with(column("id"), column("user")))


def test_a_key_of_two_columns_is_refused_where_records_are_read_by_one() -> None:
    table = table_with(column("id", key=True), column("user", key=True))

    with pytest.raises(UsageError, match="has id, user; give it a key of one column"):
        declare(table, order_by=("id", "user"))


def test_an_order_in_which_rows_may_be_equal_is_refused() -> None:
    table = table_with(column("id", key=True), column("user"))

    with pytest.raises(UsageError, match=r"ordered by user, .* end its order_by with id"):
        declare(table, order_by=("user",))
