"""The SQL of the contenders that write it by hand, in the words of each database."""

from collections.abc import Callable
from typing import Any

from benchmarks.contenders.base import NEWEST
from benchmarks.contenders.rows import COSTS, MESSAGES, TASKS, Layout

Placeholder = Callable[[int], str]


def question_mark(_position: int) -> str:
    """Write a parameter as sqlite3 reads it."""
    return "?"


def numbered(position: int) -> str:
    """Write a parameter as PostgreSQL reads it."""
    return f"${position}"


def percent(_position: int) -> str:
    """Write a parameter as the drivers of the MySQL family read it."""
    return "%s"


class Sql:
    """The statements.

    Args:
        placeholder: How the driver reads the parameter at a position, counted from 1.
        quote: What stands around a name.
        on_conflict: Begins what an insert does when the key is taken.
        new: Names the value that was to be inserted into a column.
    """

    def __init__(
        self,
        placeholder: Placeholder,
        *,
        quote: str = '"',
        on_conflict: str = "ON CONFLICT (id) DO UPDATE SET",
        new: str = "excluded.{name}",
    ) -> None:
        def names(layout: Layout[Any]) -> list[str]:
            return [f"{quote}{name}{quote}" for name in layout.columns]

        def insert(layout: Layout[Any]) -> str:
            values = ", ".join(placeholder(each + 1) for each in range(len(layout.columns)))
            return f"INSERT INTO {layout.table} ({', '.join(names(layout))}) VALUES ({values})"

        def select(layout: Layout[Any], condition: str) -> str:
            return (
                f"SELECT {', '.join(names(layout))} FROM {layout.table} "
                f"WHERE {condition} {placeholder(1)}"
            )

        replaced = ", ".join(f"{name} = {new.format(name=name)}" for name in names(TASKS)[1:])
        self.save_task = f"{insert(TASKS)} {on_conflict} {replaced}"
        self.get_task = select(TASKS, "id =")
        self.list_tasks = f"{select(TASKS, 'project =')} ORDER BY id"
        self.add_message = insert(MESSAGES)
        self.newest = (
            f"{select(MESSAGES, 'channel =')} "
            f"ORDER BY {quote}timestamp{quote} DESC, id DESC LIMIT {NEWEST}"
        )
        self.add_cost = insert(COSTS)
        self.spent = (
            "SELECT coalesce(sum(cost_usd), 0.0) FROM cost_records "
            f"WHERE agent_id = {placeholder(1)}"
        )


def sqlite_sql() -> Sql:
    """Write the SQL for SQLite."""
    return Sql(question_mark)


def postgresql_sql() -> Sql:
    """Write the SQL for PostgreSQL."""
    return Sql(numbered)


def mariadb_sql() -> Sql:
    """Write the SQL for MariaDB."""
    return Sql(percent, quote="`", on_conflict="ON DUPLICATE KEY UPDATE", new="VALUES({name})")
