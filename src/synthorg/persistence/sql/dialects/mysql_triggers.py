"""The triggers of MySQL and MariaDB that refuse UPDATE and DELETE on a table."""

from collections.abc import Mapping


def guards_of(table: str) -> Mapping[str, str]:
    """Write what each trigger of a table is, by its name.

    Args:
        table: The table.
    """
    return {
        f"{table}_refuse_{event.lower()}": (
            f"BEFORE {event} ON {table} FOR EACH ROW "
            f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{table} is append-only'"
        )
        for event in ("UPDATE", "DELETE")
    }


def does_guard(name: str, statement: str) -> bool:
    """Tell whether a trigger is what it should be, and not one of the same name that does less.

    Args:
        name: The trigger.
        statement: The statement that creates it, as the server shows it.
    """
    # Dumps write it with other quotes and spaces.
    plain = " ".join(statement.replace("`", "").split())
    return plain.endswith(guards_of(name.rpartition("_refuse_")[0])[name])
