"""From what a database raised to what the library raises, with no value in any text."""

from typing import Final

from sqlalchemy.exc import StatementError

from synthorg.persistence.errors import (
    DuplicateRecordError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    TransactionConflictError,
)
from synthorg.persistence.sql.dialects.base import DUPLICATE, Diagnosis, Fault
from synthorg.persistence.sql.statements import Parameters, Statement

_ERRORS: Final[dict[Fault, type[PersistenceError]]] = {
    Fault.DUPLICATE: DuplicateRecordError,
    Fault.APPEND_ONLY: QueryError,
    Fault.MISSING: QueryError,
    Fault.REFUSED: QueryError,
    Fault.SCHEMA: QueryError,
    Fault.TRANSIENT: TransactionConflictError,
    Fault.CONNECTION: PersistenceConnectionError,
}


def failure(diagnosis: Diagnosis, statement: Statement, parameters: Parameters) -> PersistenceError:
    """Make the error for a statement that did not succeed.

    Args:
        diagnosis: What the dialect found.
        statement: What was run.
        parameters: Its parameters, of which the text names the primary key alone.
    """
    fault, reason = diagnosis.fault, diagnosis.reason
    if fault is Fault.APPEND_ONLY and statement.inserts:
        fault, reason = Fault.DUPLICATE, "a record with this key exists"
    if fault is Fault.MISSING and statement.replaces and statement.is_complete(parameters):
        # No value is missing, so it was the upsert's guard of a row with another key.
        fault, reason = Fault.DUPLICATE, DUPLICATE.reason
    return _ERRORS[fault](f"cannot {statement.action} {statement.subject(parameters)}: {reason}")


def transaction_failure(diagnosis: Diagnosis) -> PersistenceError:
    """Make the error for a transaction of which nothing is stored.

    Args:
        diagnosis: What the dialect found when it, or a part of it, should begin or end.
    """
    if diagnosis.fault is Fault.TRANSIENT:
        return TransactionConflictError(f"the transaction was rolled back: {diagnosis.reason}")
    return PersistenceConnectionError(f"the transaction failed: {diagnosis.reason}")


def redacted(error: BaseException) -> BaseException:
    """Strip an error of the values in it, so that it can be chained and printed.

    Drivers quote values in their messages ("Key (name)=(alice) already exists"), SQLAlchemy keeps
    the parameters, and the frames of a traceback hold them as locals.
    """
    if isinstance(error, StatementError):
        driver_error = error.orig
        error.args = (f"({_qualified_name(driver_error)}) {_code(driver_error)}".rstrip(),)
        error.params = None
        error.orig = None
        error.detail.clear()
    else:
        code = _code(error)
        vars(error).clear()  # where a driver may keep the detail that its text quotes
        error.args = (code,) if code else ()
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _qualified_name(error: BaseException | None) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _code(error: BaseException | None) -> str:
    number = error.args[0] if error is not None and error.args else None
    if isinstance(number, int):
        return str(number)
    names = (getattr(error, attribute, None) for attribute in ("sqlite_errorname", "sqlstate"))
    return next((str(name) for name in names if name is not None), "")
