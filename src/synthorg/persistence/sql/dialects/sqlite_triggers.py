"""The triggers of SQLite: tables that refuse changes, the audit trail that ages, roll-ups."""

from collections.abc import Mapping
from typing import Final

from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables
from synthorg.persistence.sql.dialects.triggered import AppendOnly, Triggered

SAME_NUMBER: Final = "rowid = NEW.rowid AND NEW.rowid <> -1"
"""Finds what INSERT OR REPLACE puts out of its place by number; it is -1 where none is given."""


def triggers_of(what: Triggered) -> Mapping[str, str]:
    """Write the statement that creates each trigger, by its name.

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


def _guards(table: str) -> Mapping[str, str]:
    # INSERT OR REPLACE deletes without firing the trigger on DELETE, hence the one on INSERT.
    existing = f"SELECT 1 FROM {table} WHERE id = NEW.id OR ({SAME_NUMBER})"
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


def _of_audit(names: AuditTables) -> Mapping[str, str]:
    entries, removals, gates = names.entries, names.removals, names.gates
    kept = {name: sql for name, sql in _guards(entries).items() if not name.endswith("_delete")}
    has_record = f"SELECT 1 FROM {removals} WHERE id = NEW.removal_id"
    has_gate = f"SELECT 1 FROM {gates} WHERE removal_id = NEW.removal_id"
    closes = "OLD.is_open AND NOT NEW.is_open AND NEW.removal_id = OLD.removal_id"
    refused = {
        f"{entries}_refuse_unrecorded": (
            f"BEFORE DELETE ON {entries} WHEN NOT EXISTS (SELECT 1 FROM {gates} WHERE is_open = 1)",
            names.is_refused,
        ),
        f"{gates}_refuse_forging": (
            f"BEFORE INSERT ON {gates} WHEN NOT EXISTS ({has_record}) OR EXISTS ({has_gate})",
            names.is_forged,
        ),
        f"{gates}_refuse_update": (
            f"BEFORE UPDATE ON {gates} WHEN NOT ({closes})",
            names.is_forged,
        ),
        f"{gates}_refuse_delete": (f"BEFORE DELETE ON {gates}", names.is_forged),
    }
    # `changes()` counts what the last statement of the trigger itself has changed.
    carry_out = (
        f"INSERT INTO {gates} (removal_id, is_open) VALUES (NEW.id, 1); "
        f"{names.deletion('NEW')}; "
        f"SELECT RAISE(ABORT, '{names.is_miscounted}') WHERE changes() NOT IN (0, NEW.entries); "
        f"UPDATE {gates} SET is_open = 0 WHERE removal_id = NEW.id;"
    )
    return {
        **kept,
        **_guards(removals),
        **{
            name: f"CREATE TRIGGER {name} {event} BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for name, (event, message) in refused.items()
        },
        f"{removals}_carry_out": (
            f"CREATE TRIGGER {removals}_carry_out AFTER INSERT ON {removals} BEGIN {carry_out} END"
        ),
    }


def _of_rollups(names: RollupTables) -> Mapping[str, str]:
    # SQLite has one writer at a time, so that nobody rolls costs up meanwhile.
    changes = {
        names.move: (
            f"UPDATE OF project ON {names.tasks} WHEN OLD.project <> NEW.project",
            "task_project = NEW.project",
        ),
        names.leave: (f"DELETE ON {names.tasks}", "project = OLD.project, task_project = NULL"),
    }
    return {
        name: (
            f"CREATE TRIGGER {name} AFTER {event} "
            f"BEGIN UPDATE {names.rollups} SET {change} WHERE task_id = OLD.id; END"
        )
        for name, (event, change) in changes.items()
    }


def is_trigger(wanted: str, found: str) -> bool:
    """Tell whether a trigger is what it should be, and not one of the same name that does less.

    Args:
        wanted: The statement that creates it.
        found: The statement that has created it.
    """
    return " ".join(found.split()) == wanted
