"""What errors of PostgreSQL mean, told by SQLSTATE as far as there is one."""

from typing import Any, Final

from synthorg.persistence.sql.dialects.postgresql_connector import with_advice
from synthorg.persistence.sql.drivers.faults import (
    BROKEN_CHECK,
    BROKEN_REFERENCE,
    DUPLICATE,
    LOCKED,
    MISSING_VALUE,
    OUT_OF_RANGE,
    SCHEMA_MISFIT,
    TIMED_OUT,
    Diagnosis,
    Fault,
    crowded,
    demoted,
    lost,
    unusable,
)

_FOREIGN_SESSION: Final = unusable(
    "the server knows other prepared statements than this connection has made, as behind a pooler "
    "that changes sessions; give pooler=transaction in the configuration, or set pool_mode = "
    "session there"
)
_READ_ONLY: Final = demoted(
    "the server is read-only, as a standby is, or default_transaction_read_only is set"
)
_STALE: Final = Diagnosis(Fault.TRANSIENT, "the schema changed under a prepared statement")

_CROWDED_SERVER: Final = crowded(
    "the server has as many connections as it allows", "raise its max_connections"
)
_CROWDED_ROLE: Final = crowded(
    "the user has as many connections as it may have", "raise the CONNECTION LIMIT of the role"
)
_CROWDED_DATABASE: Final = crowded(
    "the database has as many connections as it may have", "raise its CONNECTION LIMIT"
)

# A session may be ended between the commit of a statement and the answer to it.
_FAREWELLS: Final = {
    "25P03": lost("the transaction was idle for longer than the server allows"),
    "25P04": lost("the transaction took longer than the server allows"),
    "57P01": lost("the server has ended the connection"),
    "57P02": lost("the server has crashed"),
    "57P03": lost("the server is starting, stopping or recovering"),
    "57P04": lost("the database was dropped"),
    "57P05": lost("the connection was idle for longer than the server allows"),
}

_DIAGNOSES: Final = {
    **_FAREWELLS,
    "23505": DUPLICATE,
    "23503": BROKEN_REFERENCE,
    "23502": MISSING_VALUE,
    "23514": BROKEN_CHECK,
    "23001": Diagnosis(Fault.APPEND_ONLY, "the database protects existing rows from change"),
    "40001": Diagnosis(Fault.TRANSIENT, "it conflicted with a concurrent transaction"),
    "40P01": Diagnosis(Fault.TRANSIENT, "it was in a deadlock with another transaction"),
    "55P03": LOCKED,
    "57014": TIMED_OUT,
    "42P01": SCHEMA_MISFIT,
    "42703": SCHEMA_MISFIT,
    "22001": Diagnosis(Fault.REFUSED, "a text is too long for its column"),
    "22003": OUT_OF_RANGE,
    "28000": unusable("the server does not accept this user"),
    "28P01": unusable("the server does not accept this password"),
    "3D000": unusable("the database does not exist"),
    "42501": Diagnosis(Fault.REFUSED, "the user lacks a privilege for it"),
    "53300": _CROWDED_SERVER,
    "53100": unusable("the server's disk is full"),
    "25006": _READ_ONLY,
    "26000": _FOREIGN_SESSION,
    "42P05": _FOREIGN_SESSION,
}
"""By SQLSTATE. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_LOST_CLASS: Final = "08"
_CONNECTION_CLASSES: Final = (_LOST_CLASS, "58")
_RESOURCES_CLASS: Final = "53"
_BEYOND_PYTHON: Final = Diagnosis(Fault.REFUSED, "a stored time lies beyond the years 1 to 9999")
_WITHOUT_CODE: Final = {
    # Of rows that have come, by asyncpg and by psycopg:
    "OverflowError": _BEYOND_PYTHON,
    "DataError": _BEYOND_PYTHON,
    # asyncpg's own, not the classes derived from them. Of a closed connection, before it sends:
    "InterfaceError": unusable("the connection to the server was lost"),
    # Between a server's farewell and the end of the connection:
    "InternalClientError": lost("the connection to the server was lost"),
    # psycopg's own, not the classes derived from it by SQLSTATE:
    "OperationalError": lost("the connection to the server was lost"),
}
_PROTOCOL_VIOLATION: Final = "08P01"
_NOT_SUPPORTED: Final = "0A000"
_BY_FUNCTION: Final = {
    "RevalidateCachedQuery": _STALE,
    # Of isolation and access mode, which are set when a transaction begins:
    "call_enum_check_hook": _READ_ONLY,
    "call_bool_check_hook": _READ_ONLY,
}
"""What is not supported, by the function of the server that says so."""
_CROWDED_BY_FUNCTION: Final = {
    "InitializeSessionUserId": _CROWDED_ROLE,
    "CheckMyDatabase": _CROWDED_DATABASE,
}
_CROWDED: Final = "53300"
_CROWDED_BY_WORDS: Final = {
    "too many connections for role": _CROWDED_ROLE,
    "too many connections for database": _CROWDED_DATABASE,
    "too many clients already": _CROWDED_SERVER,
    "connection slots are reserved": _CROWDED_SERVER,
    "max_client_conn": crowded(
        "the pooler has as many clients as it allows", "raise its max_client_conn"
    ),
    "query_wait_timeout": crowded(
        "no connection of the server became free for the pooler within its query_wait_timeout",
        "raise its default_pool_size",
    ),
}
_STALE_NAME: Final = "InvalidCachedStatementError"  # as the driver says it that keeps plans itself


def diagnosis_of(error: BaseException) -> Diagnosis | None:
    """Tell what an error of a driver means, or None for one that it shares with nobody.

    Args:
        error: The driver's error, or SQLAlchemy's copy of it.
    """
    name, code = type(error).__name__, getattr(error, "sqlstate", None)
    if name == _STALE_NAME:
        return _STALE
    if code is None:
        return _WITHOUT_CODE.get(name)
    if code == _CROWDED:
        return _CROWDED_BY_FUNCTION.get(_function(error), _CROWDED_SERVER)
    if code == _NOT_SUPPORTED:
        return _BY_FUNCTION.get(_function(error), _of_code(code))
    if code.startswith(_LOST_CLASS):
        return _of_lost(error, code)
    return _of_code(code)


def _of_lost(error: BaseException, code: str) -> Diagnosis:
    words = _words(error)
    crowd = crowd_of(words)  # of whose connection a driver says first that it was closed
    if crowd is not None:
        return crowd
    # By which a pooler says anything:
    return lost(with_advice(words)) if code == _PROTOCOL_VIOLATION else _of_code(code)


def crowd_of(words: str) -> Diagnosis | None:
    """Tell whose limit on connections the words of a server or of a pooler are about.

    Args:
        words: The words, where there is no code.
    """
    found = (crowd for part, crowd in _CROWDED_BY_WORDS.items() if part in words)
    return next(found, None)


def _of_code(code: str) -> Diagnosis:
    if code in _DIAGNOSES:
        return _DIAGNOSES[code]
    if code.startswith(_CONNECTION_CLASSES):
        return lost("the connection to the server was lost or refused")
    if code.startswith(_RESOURCES_CLASS):
        return unusable("the server lacks resources")
    return Diagnosis(Fault.REFUSED, f"the database refused it (SQLSTATE {code})")


def _function(error: BaseException) -> str:
    details: Any = getattr(error, "diag", None)
    if details is not None:
        return str(details.source_function)
    for each in (error, error.__cause__):  # which SQLAlchemy's copy came of
        function = getattr(each, "server_source_function", None)
        if function is not None:
            return str(function)
    return ""


def _words(error: BaseException) -> str:
    # SQLAlchemy puts the class of the original before them.
    return str(error).partition("\n")[0].rpartition(">: ")[2]
