"""Statements that are prepared once have to be few."""

from sqlalchemy import select

from synthorg.persistence.sql.statements.statement import KeysStatement
from synthorg.persistence.sql.tables import tasks


def test_few_statements_serve_any_number_of_keys() -> None:
    among = KeysStatement("get", tasks, select(tasks.c.id).where)
    keys = [str(number) for number in range(500)]
    served = [among.of(keys[:size]) for size in range(1, len(keys) + 1)]
    for size, (_, parameters) in enumerate(served, 1):
        assert set(parameters.values()) == set(keys[:size])
    assert len({statement for statement, _ in served}) == 10
