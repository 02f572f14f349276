"""The triggers of PostgreSQL that refuse UPDATE, DELETE and TRUNCATE on a table."""

from collections.abc import Mapping
from typing import Final

ROW: Final = 1
BEFORE: Final = 2
DELETE: Final = 8
UPDATE: Final = 16
TRUNCATE: Final = 32
"""The bits of pg_trigger.tgtype. https://www.postgresql.org/docs/current/catalog-pg-trigger.html"""

ALWAYS: Final = "A"
"""The state of a trigger that fires in every session, whatever its session_replication_role."""

_EVENTS: Final = {
    "change": ("BEFORE UPDATE OR DELETE", "ROW", BEFORE | ROW | UPDATE | DELETE),
    "truncate": ("BEFORE TRUNCATE", "STATEMENT", BEFORE | TRUNCATE),
}


def guards_of(table: str) -> Mapping[str, str]:
    """Write the statement that creates each trigger of a table, by its name.

    Args:
        table: The table.
    """
    return {
        f"{table}_refuse_{name}": (
            f"CREATE TRIGGER {table}_refuse_{name} {event} ON {table} "
            f"FOR EACH {scope} EXECUTE FUNCTION {table}_refuse()"
        )
        for name, (event, scope, _) in _EVENTS.items()
    }


def body_of(table: str) -> str:
    """Write the body of the function that the triggers of a table execute.

    Args:
        table: The table.
    """
    return (
        f" BEGIN RAISE EXCEPTION '{table} is append-only' "
        "USING ERRCODE = 'restrict_violation'; END "
    )


def does_guard(name: str, events: int, state: str, body: str, *, is_limited: bool) -> bool:
    """Tell whether a trigger is what it should be, and not one of the same name that does less.

    Args:
        name: The trigger.
        events: When it fires, as bits.
        state: In which sessions it fires.
        body: The body of its function.
        is_limited: Whether it fires for some rows or columns only.
    """
    table, _, action = name.rpartition("_refuse_")
    return (
        events == _EVENTS[action][2]
        and state == ALWAYS
        and not is_limited
        and body.split() == body_of(table).split()
    )
