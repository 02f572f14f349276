"""The triggers of SQLite that refuse UPDATE and DELETE on a table."""

from collections.abc import Mapping


def guards_of(table: str) -> Mapping[str, str]:
    """Write the statement that creates each trigger of a table, by its name.

    Args:
        table: The table.
    """
    # INSERT OR REPLACE deletes without firing the trigger on DELETE, hence the one on INSERT.
    existing = f"SELECT 1 FROM {table} WHERE id = NEW.id"  # noqa: S608 (DDL takes no values)
    events = {
        "update": f"BEFORE UPDATE ON {table}",
        "delete": f"BEFORE DELETE ON {table}",
        "replace": f"BEFORE INSERT ON {table} WHEN EXISTS ({existing})",
    }
    return {
        f"{table}_refuse_{action}": (
            f"CREATE TRIGGER {table}_refuse_{action} {event} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        for action, event in events.items()
    }


def does_guard(name: str, statement: str) -> bool:
    """Tell whether a trigger is what it should be, and not one of the same name that does less.

    Args:
        name: The trigger.
        statement: The statement that created it.
    """
    return " ".join(statement.split()) == guards_of(name.rpartition("_refuse_")[0])[name]
