"""The triggers of PostgreSQL: rows protected, the audit trail that ages, roll-ups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from synthorg.entities.base import EARLIEST_TIME
from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables
from synthorg.persistence.sql.dialects.triggered import AppendOnly, Triggered

ROW: Final = 1
BEFORE: Final = 2
INSERT: Final = 4
DELETE: Final = 8
UPDATE: Final = 16
TRUNCATE: Final = 32
"""The bits of pg_trigger.tgtype. https://www.postgresql.org/docs/current/catalog-pg-trigger.html"""

ALWAYS: Final = "A"
"""The state of a trigger that fires in every session, whatever its session_replication_role."""

SEARCH_PATH: Final = "search_path=pg_catalog, pg_temp"
"""What functions are run with that read a table: so nobody can put another one in its place."""

_EVENTS: Final = {
    "change": ("BEFORE UPDATE OR DELETE", BEFORE | ROW | UPDATE | DELETE),
    "update": ("BEFORE UPDATE", BEFORE | ROW | UPDATE),
    "unrecorded": ("BEFORE DELETE", BEFORE | ROW | DELETE),
    "forging": ("BEFORE INSERT OR UPDATE OR DELETE", BEFORE | ROW | INSERT | UPDATE | DELETE),
    "truncate": ("BEFORE TRUNCATE", BEFORE | TRUNCATE),
    "carry_out": ("AFTER INSERT", ROW | INSERT),
    "move": ("AFTER UPDATE", ROW | UPDATE),
    "leave": ("AFTER DELETE", ROW | DELETE),
}


@dataclass(frozen=True)
class Trigger:
    """A trigger with the function that it executes.

    Attributes:
        table: Its table.
        name: Its name.
        event: When it fires.
        function: The name of the function.
        body: The body of the function.
        when: The condition for rows for which it fires, if not for all.
        is_secluded: Whether the function has a search path of its own.
    """

    table: str
    name: str
    event: str
    function: str
    body: str
    when: str = ""
    is_secluded: bool = False

    @property
    def statements(self) -> Iterable[str]:
        """The statements that create both."""
        clause, bits = _EVENTS[self.event]
        condition = f"WHEN ({self.when}) " if self.when else ""
        secluded = f" SET {SEARCH_PATH.replace('=', ' = ')}" if self.is_secluded else ""
        yield (
            f"CREATE OR REPLACE FUNCTION {self.function}() RETURNS trigger LANGUAGE plpgsql"
            f"{secluded} AS $${self.body}$$"
        )
        yield (
            f"CREATE TRIGGER {self.name} {clause} ON {self.table} "
            f"FOR EACH {'ROW' if bits & ROW else 'STATEMENT'} {condition}"
            f"EXECUTE FUNCTION {self.function}()"
        )

    def is_it(self, events: int, state: str, body: str, settings: str, *, is_limited: bool) -> bool:
        """Tell whether this is a trigger that was found, and not one of the name that does less.

        Args:
            events: When that fires, as bits.
            state: In which sessions it fires.
            body: The body of its function.
            settings: The settings that this is run with.
            is_limited: Whether it fires for some rows or columns only.
        """
        return (
            events == _EVENTS[self.event][1]
            and state == ALWAYS
            and is_limited == bool(self.when)
            and body.split() == self.body.split()
            and settings == (SEARCH_PATH if self.is_secluded else "")
        )


def triggers_of(what: Triggered) -> Mapping[str, Trigger]:
    """Give each trigger, by its name.

    Args:
        what: What they see to.
    """
    match what:
        case AppendOnly(table):
            return _guards(table)
        case AuditTables():
            return _of_audit(what)
        case RollupTables():
            return _of_rollups(what)


def _guards(table: str) -> Mapping[str, Trigger]:
    return _refusing(table, "change", "truncate")


def _of_audit(names: AuditTables) -> Mapping[str, Trigger]:
    entries, removals, gates = names.entries, names.removals, names.gates
    is_open = _asked(f"SELECT EXISTS (SELECT FROM %I.{gates} WHERE is_open)")
    unrecorded = (
        f" DECLARE found boolean; BEGIN {is_open} INTO found; IF found THEN RETURN OLD; END IF; "
        f"{_refusal(names.is_refused)} END "
    )
    has_record = _asked(f"SELECT EXISTS (SELECT FROM %I.{removals} WHERE id = $1)")
    forging = (
        " DECLARE found boolean; BEGIN "
        f"IF TG_OP = 'INSERT' THEN {has_record} INTO found USING NEW.removal_id; "
        "IF found THEN RETURN NEW; END IF; "  # a second gate of a record has the same key
        "ELSIF TG_OP = 'UPDATE' THEN "
        "IF OLD.is_open AND NOT NEW.is_open AND NEW.removal_id = OLD.removal_id "
        "THEN RETURN NEW; END IF; END IF; "
        f"{_refusal(names.is_forged)} END "
    )
    deletion = names.deletion("$1").replace("DELETE FROM ", "DELETE FROM %I.", 1)
    carry_out = (
        " DECLARE number bigint; BEGIN "
        f"{_asked(f'INSERT INTO %I.{gates} (removal_id, is_open) VALUES ($1, true)')} "
        f"USING NEW.id; {_asked(deletion)} USING NEW; GET DIAGNOSTICS number = ROW_COUNT; "
        f"IF number NOT IN (0, NEW.entries) THEN {_refusal(names.is_miscounted)} END IF; "
        f"{_asked(f'UPDATE %I.{gates} SET is_open = false WHERE removal_id = $1')} "
        "USING NEW.id; RETURN NULL; END "
    )
    return {
        **_refusing(entries, "update", "truncate"),
        **_secluded(entries, "refuse_unrecorded", "unrecorded", unrecorded),
        **_refusing(removals, "change", "truncate"),
        **_secluded(removals, "carry_out", "carry_out", carry_out),
        **_refusing(gates, "truncate"),
        **_secluded(gates, "refuse_forging", "forging", forging),
    }


def _of_rollups(names: RollupTables) -> Mapping[str, Trigger]:
    tasks, is_moved = names.tasks, "OLD.project IS DISTINCT FROM NEW.project"
    moved = _following(names, "task_project = $1", "NEW.project")
    gone = _following(names, "project = $1, task_project = NULL", "OLD.project")
    return {
        **_secluded(tasks, "move_rollups", "move", moved, when=is_moved),
        **_secluded(tasks, "leave_rollups", "leave", gone),
    }


def _following(names: RollupTables, change: str, project: str) -> str:
    """Write the function by which the roll-ups of a task follow it, when nobody rolls costs up."""
    no_state = names.no_state("$1").replace("INTO ", "INSERT INTO %I.", 1)
    update = f"UPDATE %I.{names.rollups} SET {change} WHERE task_id = $2"
    return (
        f" BEGIN {_asked(f'{no_state} ON CONFLICT DO NOTHING')} "
        f"USING timestamptz '{EARLIEST_TIME}'; "
        f"{_asked(f'SELECT revision FROM %I.{names.state} FOR SHARE')}; "
        f"{_asked(update)} USING {project}, OLD.id; RETURN NULL; END "
    )


def _refusing(table: str, *events: str) -> Mapping[str, Trigger]:
    body = f" BEGIN {_refusal(f'{table} is append-only')} END "
    return {
        name: Trigger(table, name, event, f"{table}_refuse", body)
        for event in events
        for name in [f"{table}_refuse_{event}"]
    }


def _secluded(
    table: str, name: str, event: str, body: str, *, when: str = ""
) -> Mapping[str, Trigger]:
    name = f"{table}_{name}"
    return {name: Trigger(table, name, event, name, body, when, is_secluded=True)}


def _asked(statement: str) -> str:
    return f"EXECUTE format('{statement}', TG_TABLE_SCHEMA)"


def _refusal(message: str) -> str:
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation';"
