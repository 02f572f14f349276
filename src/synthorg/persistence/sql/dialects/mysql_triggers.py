"""The triggers of MySQL and MariaDB: rows protected, the audit trail that ages, roll-ups."""

from collections.abc import Mapping

from synthorg.entities.base import EARLIEST_TIME
from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables
from synthorg.persistence.sql.dialects.triggered import AppendOnly, Triggered


def triggers_of(what: Triggered) -> Mapping[str, str]:
    """Write what each trigger is, by its name.

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
    return {
        f"{table}_refuse_{event.lower()}": (
            f"BEFORE {event} ON {table} FOR EACH ROW {_refusal(f'{table} is append-only')}"
        )
        for event in ("UPDATE", "DELETE")
    }


def _of_audit(names: AuditTables) -> Mapping[str, str]:
    entries, removals, gates = names.entries, names.removals, names.gates
    kept = {name: sql for name, sql in _guards(entries).items() if not name.endswith("_delete")}
    # InnoDB locks what a trigger of a change reads, so that a gate which is open in another
    # transaction is waited for, also at READ UNCOMMITTED; stated, so as to rest on no setting.
    no_gate = f"NOT EXISTS (SELECT 1 FROM {gates} WHERE is_open = 1 LOCK IN SHARE MODE)"
    has_record = f"EXISTS (SELECT 1 FROM {removals} WHERE id = NEW.removal_id)"
    closes = "OLD.is_open = 1 AND NEW.is_open = 0 AND NEW.removal_id = OLD.removal_id"
    refused = {
        f"{entries}_refuse_unrecorded": (f"DELETE ON {entries}", no_gate, names.is_refused),
        # A second gate of a record has the same key.
        f"{gates}_refuse_forging": (f"INSERT ON {gates}", f"NOT {has_record}", names.is_forged),
        f"{gates}_refuse_update": (f"UPDATE ON {gates}", f"NOT ({closes})", names.is_forged),
    }
    carry_out = (
        f"BEGIN INSERT INTO {gates} (removal_id, is_open) VALUES (NEW.id, 1); "
        f"{names.deletion('NEW')}; "
        f"IF ROW_COUNT() NOT IN (0, NEW.entries) THEN {_refusal(names.is_miscounted)}; END IF; "
        f"UPDATE {gates} SET is_open = 0 WHERE removal_id = NEW.id; END"
    )
    return {
        **kept,
        **_guards(removals),
        **{
            name: f"BEFORE {event} FOR EACH ROW IF {condition} THEN {_refusal(message)}; END IF"
            for name, (event, condition, message) in refused.items()
        },
        f"{gates}_refuse_delete": (
            f"BEFORE DELETE ON {gates} FOR EACH ROW {_refusal(names.is_forged)}"
        ),
        f"{removals}_carry_out": f"AFTER INSERT ON {removals} FOR EACH ROW {carry_out}",
    }


def _of_rollups(names: RollupTables) -> Mapping[str, str]:
    earliest = f"'{EARLIEST_TIME.replace(tzinfo=None)}'"
    follow = (
        "DECLARE locked BIGINT; "
        f"IF NOT EXISTS (SELECT 1 FROM {names.state}) THEN "
        f"INSERT IGNORE {names.no_state(earliest)}; END IF; "
        f"SELECT MAX(revision) INTO locked FROM {names.state} LOCK IN SHARE MODE; "
        f"UPDATE {names.rollups} SET"
    )
    moved = f"{follow} task_project = NEW.project WHERE task_id = NEW.id;"
    gone = f"{follow} project = OLD.project, task_project = NULL WHERE task_id = OLD.id;"
    return {
        names.move: (
            f"AFTER UPDATE ON {names.tasks} FOR EACH ROW "
            f"IF NEW.project <> OLD.project THEN BEGIN {moved} END; END IF"
        ),
        names.leave: f"AFTER DELETE ON {names.tasks} FOR EACH ROW BEGIN {gone} END",
    }


def _refusal(message: str) -> str:
    return f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{message}'"


def is_trigger(wanted: str, found: str) -> bool:
    """Tell whether a trigger is what it should be, and not one of the same name that does less.

    Args:
        wanted: What it is.
        found: The statement that creates it, as the server shows it.
    """
    # Dumps write it with other quotes and spaces.
    return " ".join(found.replace("`", "").split()).endswith(wanted)
