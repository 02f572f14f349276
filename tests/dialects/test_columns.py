"""Values that are converted by the column: to the same, or left to what converts each."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Double
from sqlalchemy.types import TypeEngine

from synthorg.persistence import PostgreSQLConfig
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.dialects.joined_text import JoinedText
from synthorg.persistence.sql.dialects.postgresql import PostgreSQLDialect
from synthorg.persistence.sql.drivers.sqlite import _of_rows
from synthorg.persistence.sql.statements.columns import column_conversion
from synthorg.persistence.sql.statements.compiler import StatementCompiler
from synthorg.persistence.sql.statements.statement import replacement
from synthorg.persistence.sql.types import Choice, JsonDocument, LongText, ShortText, coercion
from synthorg.persistence.testing.kinds import TASKS


class Colour(StrEnum):
    """Text that is of no plain kind."""

    RED = "red"


ODD = ("\x00", "\ud800", "\x1f", "\x1e", "é", "", "a" * 9)
TEXTS = st.sampled_from([*ODD, Colour.RED, UUID(int=7), 7, True]) | st.text(max_size=9)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.sampled_from([*ODD, "NaN", "\\u0000", 1]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
)


class Chosen(ShortText):
    """A type of somebody else's, which stores another text."""

    cache_ok = True

    def coerce(self, value: object) -> str:
        """Return the text to store."""
        return f"<{super().coerce(value)}>"


def one_by_one(convert: Callable[[Any], Any], values: list[Any]) -> list[Any] | None:
    """Convert each value, or tell by None that one is refused."""
    try:
        return [None if value is None else convert(value) for value in values]
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (ShortText(8), TEXTS),
        (Choice(8, ("red",)), TEXTS),
        (LongText(), TEXTS),
        (Chosen(8), TEXTS),
        (JsonDocument(), DOCUMENTS),
    ],
    ids=lambda case: type(case).__name__,
)
@given(data=st.data())
def test_a_column_of_text_becomes_what_each_of_its_values_becomes(
    type_: TypeEngine[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    column = data.draw(st.lists(st.none() | values, min_size=1, max_size=4))
    convert = coercion(type_)
    expected = one_by_one(convert, column)
    try:
        apart = column_conversion(type_, type_, convert)(column)
        assert expected is not None
        assert apart == expected
        joined = column_conversion(JoinedText(), type_, convert)(column)
    except (TypeError, ValueError):
        return  # each is converted alone then
    assert joined == JoinedText().join(expected)


@pytest.mark.parametrize("texts", [["a", None, "é"], [Colour.RED, "a"], ["12345678"]])
def test_a_column_of_usual_text_is_converted(texts: list[Any]) -> None:
    for type_ in (ShortText(8), LongText()):
        convert = coercion(type_)
        joined = column_conversion(JoinedText(), type_, convert)(texts)
        assert joined == JoinedText().join([None if text is None else str(text) for text in texts])


@pytest.mark.parametrize("type_", [Double(), BigInteger()])
def test_a_column_of_numbers_becomes_an_array(type_: TypeEngine[Any]) -> None:
    convert = column_conversion(type_, type_, coercion(type_))
    assert convert([1, None, 2]) == [1, None, 2]
    with pytest.raises(ValueError, match="must"):
        convert([1, "2"])


def test_a_statement_converts_rows_for_itself_and_for_the_one_that_takes_columns() -> None:
    dialect = PostgreSQLDialect(PostgreSQLConfig(database="none"))
    statements = StatementCompiler(dialect, dialect.create_engine().dialect)
    table = tables.tasks
    prepared = statements.prepared(replacement(table, ()))
    rows = [dict(TASKS.keyed(name)) for name in ("first", "second")]
    for _ in range(2):
        assert prepared.bind_many(rows) == [tuple(prepared.bind(row)) for row in rows]
        together = prepared.together(rows, 10_000)
        assert together is not None
        assert "first\x1fsecond" in together.values


def test_an_insert_of_one_row_becomes_one_of_several_unless_it_does_more_with_the_values() -> None:
    assert _of_rows("INSERT INTO t (a, b) VALUES (?, ?) RETURNING a", 2, 3) == (
        "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?) RETURNING a"
    )
    assert _of_rows("INSERT INTO t (a, b) VALUES (?, lower(?))", 2, 3) is None
