"""What went wrong with one of the databases, told without values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from synthorg.persistence.errors import (
    DuplicateRecordError,
    PersistenceError,
    QueryError,
    TransactionConflictError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.faults import Fault
from synthorg.persistence.sql.execution.error_translator import ErrorTranslator
from synthorg.persistence.sql.execution.failures import connection_failure, redacted
from synthorg.persistence.sql.migrations.runner import find_schema_problem

_ERRORS: Final[dict[Fault, type[PersistenceError]]] = {
    Fault.TRANSIENT: TransactionConflictError,
    Fault.DUPLICATE: DuplicateRecordError,
}


@contextmanager
def explained(dialect: Dialect, action: str) -> Iterator[None]:
    """Turn what a database or its driver raises into an error of this library.

    Args:
        dialect: The kind of database.
        action: What cannot be done, as in "read messages of …".
    """
    errors = ErrorTranslator(dialect, find_schema_problem)
    try:
        yield
    except errors.foreign_errors as error:
        diagnosis, cause = errors.diagnose(error), redacted(error)
    else:
        return
    if diagnosis.fault is Fault.CONNECTION:
        raise connection_failure(diagnosis, f"cannot {action}") from cause
    kind = _ERRORS.get(diagnosis.fault, QueryError)
    raise kind(f"cannot {action}: {diagnosis.reason}") from cause
