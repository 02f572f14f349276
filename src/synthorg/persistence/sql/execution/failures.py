"""From what a database raised to what the library raises, with no value in any text."""

from typing import Final

from sqlalchemy.exc import StatementError

from synthorg.persistence.errors import (
    DuplicateRecordError,
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    TooManyConnectionsError,
    TransactionConflictError,
)
from synthorg.persistence.sql.drivers.base import NotWritten
from synthorg.persistence.sql.drivers.faults import DUPLICATE, Diagnosis, Fault
from synthorg.persistence.sql.statements.statement import Parameters, Statement

_ERRORS: Final[dict[Fault, type[PersistenceError]]] = {
    Fault.DUPLICATE: DuplicateRecordError,
    Fault.APPEND_ONLY: QueryError,
    Fault.MISSING: QueryError,
    Fault.REFUSED: QueryError,
    Fault.SCHEMA: QueryError,
    Fault.TRANSIENT: TransactionConflictError,
    Fault.CONNECTION: PersistenceConnectionError,
}


def failure_of(
    diagnosis: Diagnosis, statement: Statement, parameters: Parameters, table_prefix: str
) -> PersistenceError:
    """Make the error for a statement that did not succeed.

    Args:
        diagnosis: What the dialect found.
        statement: What was run.
        parameters: Its parameters, of which the text names the primary key alone.
        table_prefix: That of the database.
    """
    fault, reason = diagnosis.fault, diagnosis.reason
    if fault is Fault.APPEND_ONLY and statement.inserts:
        fault, reason = Fault.DUPLICATE, "a record with this key exists"
    if fault is Fault.MISSING and statement.replaces and statement.is_complete(parameters):
        # No value is missing, so it was the upsert's guard of a row with another key.
        fault, reason = Fault.DUPLICATE, DUPLICATE.reason
    subject = statement.subject(parameters, table_prefix)
    return _class_of(diagnosis, fault)(f"cannot {statement.action} {subject}: {reason}")


def unknown_outcome(
    statement: Statement, parameters: Parameters, reason: str, table_prefix: str
) -> OutcomeUnknownError:
    """Make the error for a statement that may have been carried out.

    Args:
        statement: What was run.
        parameters: Its parameters, of which the text names the primary key alone.
        reason: Why that is not known.
        table_prefix: That of the database.
    """
    subject = statement.subject(parameters, table_prefix)
    return OutcomeUnknownError(
        f"the attempt to {statement.action} {subject} may or may not have succeeded: {reason}; "
        "read what is stored before writing again"
    )


def transaction_failure(diagnosis: Diagnosis) -> PersistenceError:
    """Make the error for a transaction of which nothing is stored.

    Args:
        diagnosis: What the dialect found when it, or a savepoint of it, should begin or end.
    """
    end = "failed" if diagnosis.fault is Fault.CONNECTION else "was rolled back"
    return _class_of(diagnosis, diagnosis.fault)(f"the transaction {end}: {diagnosis.reason}")


def connection_failure(diagnosis: Diagnosis, failed: str) -> PersistenceError:
    """Make the error for what failed for want of a connection.

    Args:
        diagnosis: What the dialect found.
        failed: What could not be done.
    """
    return _class_of(diagnosis, Fault.CONNECTION)(f"{failed}: {diagnosis.reason}")


def _class_of(diagnosis: Diagnosis, fault: Fault) -> type[PersistenceError]:
    return TooManyConnectionsError if diagnosis.is_crowd else _ERRORS[fault]


def redacted(error: BaseException) -> BaseException:
    """Make a bare copy of an error, with no values in it, that can be chained and printed.

    Drivers quote values in their messages ("Key (name)=(alice) already exists"), SQLAlchemy keeps
    the parameters, and the frames of a traceback hold them as locals. The error itself stays as it
    is, for others may have met it too.
    """
    if isinstance(error, NotWritten):
        return redacted(error.reason)
    kind = type(error)
    bare: BaseException = kind.__new__(kind)
    if isinstance(error, StatementError):
        driver_error = error.orig
        vars(bare).update(vars(error) | {"params": None, "orig": None}, detail=[])
        bare.args = (f"({_qualified_name(driver_error)}) {_code(driver_error)}".rstrip(),)
    else:
        code = _code(error)
        bare.args = (code,) if code else ()
    return bare


def _qualified_name(error: BaseException | None) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _code(error: BaseException | None) -> str:
    number = error.args[0] if error is not None and error.args else None
    if isinstance(number, int):
        return str(number)
    names = (getattr(error, attribute, None) for attribute in ("sqlite_errorname", "sqlstate"))
    return next((str(name) for name in names if name is not None), "")
