"""From what a database raised to what the library raises, with no value in any text."""

from typing import Final

from sqlalchemy.exc import StatementError

from synthorg.persistence.errors import (
    DuplicateRecordError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
)
from synthorg.persistence.sql.dialects.base import Diagnosis, Fault
from synthorg.persistence.sql.statements import Parameters, Statement

_ERRORS: Final[dict[Fault, type[PersistenceError]]] = {
    Fault.DUPLICATE: DuplicateRecordError,
    Fault.APPEND_ONLY: QueryError,
    Fault.REFUSED: QueryError,
    Fault.SCHEMA: QueryError,
    Fault.TRANSIENT: QueryError,
    Fault.CONNECTION: PersistenceConnectionError,
}


def failure(diagnosis: Diagnosis, statement: Statement, parameters: Parameters) -> PersistenceError:
    """Make the error for a statement that did not succeed.

    Args:
        diagnosis: What the dialect found.
        statement: What was run.
        parameters: Its parameters, of which the text names the primary key alone.
    """
    subject = f"cannot {statement.action} {statement.table.name}"
    fault, reason = diagnosis.fault, diagnosis.reason
    if fault is Fault.APPEND_ONLY and statement.inserts:
        fault, reason = Fault.DUPLICATE, "a record with this key exists"
    subject = f"cannot {statement.action} {statement.subject(parameters)}"
    return _ERRORS[fault](f"{subject}: {reason}")


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
        error.args = (_code(error),) if _code(error) else ()
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _qualified_name(error: BaseException | None) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _code(error: BaseException | None) -> str:
    for attribute in ("sqlite_errorname", "sqlstate"):
        code = getattr(error, attribute, None)
        if code is not None:
            return str(code)
    number = error.args[0] if error is not None and error.args else None
    return str(number) if isinstance(number, int) else ""
