"""What a session on PostgreSQL is set to, and what cannot be set and is therefore looked at.

An operator, a role, a database or the environment (PGOPTIONS, PGTZ, PGDATESTYLE …) may have chosen
otherwise, which must not change what is stored or read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from synthorg.persistence.sql.dialects.base import ISOLATION_LEVEL
from synthorg.persistence.sql.drivers.faults import UnusableError

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Text is sent and read in this.
        "client_encoding": "UTF8",
        # Moments come back in UTC, and NOW() in an application's own SQL compares with them.
        "timezone": "UTC",
        # psycopg reads times and intervals as text, and in no other style.
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        # psycopg reads numbers as text, of which anything below would cut the last digits off.
        "extra_float_digits": "1",
        # psycopg writes arrays as text, where NULL would become a word otherwise.
        "array_nulls": "on",
        # A backslash in a literal is a backslash.
        "standard_conforming_strings": "on",
        # "x = NULL" finds nothing, as on all other databases.
        "transform_null_equals": "off",
        # Statements that run by themselves begin no transaction that would say how isolated it is.
        "default_transaction_isolation": ISOLATION_LEVEL.lower(),
        # Alembic compares the schema with what the catalogue says, which quotes where it must.
        "quote_all_identifiers": "off",
    }
)
"""The settings that matter here, by name; anybody may change them for a session of their own.

Not among them, since they are the operator's: default_transaction_read_only, row_security, and the
limits beside those of the configuration (idle_in_transaction_session_timeout and its like).
"""

DURABLE: Final[Mapping[str, str]] = MappingProxyType({"synchronous_commit": "on"})
"""What is set where a commit would return before it is on disk; how many standbys have it as well
(local, remote_write, remote_apply) is the operator's."""

QUESTION: Final = (
    "SELECT pg_backend_pid(), current_setting('server_encoding'), "
    "current_setting('synchronous_commit'), current_setting('session_replication_role'), "
    "pg_is_in_recovery()::text, current_setting('transaction_read_only')"
)
"""What a new session is asked, in a transaction."""


ROLE_QUESTION: Final = (
    "SELECT max(reset_val) FILTER (WHERE name = 'search_path'), "
    "max(reset_val) FILTER (WHERE name = 'synchronous_commit'), "
    "max(reset_val) FILTER (WHERE name = 'lock_timeout'), "
    "max(reset_val) FILTER (WHERE name = 'idle_in_transaction_session_timeout') FROM pg_settings"
)
"""What role, database and server say, whatever others have left behind in the session."""


@dataclass(frozen=True)
class Found:
    """The answer to `QUESTION`.

    Attributes:
        pid: The process of the server that has answered.
        encoding: How the database stores text.
        synchronous_commit: When a commit returns.
        replication_role: Whether triggers and foreign keys are in force.
        is_standby: Whether the server is one: "true" or "false".
        read_only: Whether transactions are read-only, if they do not say: "on" or "off".
    """

    pid: int
    encoding: str
    synchronous_commit: str
    replication_role: str
    is_standby: str
    read_only: str

    def refuse_another_than(self, target: str) -> None:
        """Refuse a server that is not as wanted.

        Args:
            target: Which servers will do, as `target_session_attrs` of the configuration.

        Raises:
            UnusableError: If this one does not.
        """
        if target != "any" and self.is_standby == "true":
            raise UnusableError("the server is a standby, and so read-only", may_pass=True)
        if target == "read-write" and self.read_only == "on":
            raise UnusableError(
                "transactions are read-only there, as default_transaction_read_only says",
                may_pass=True,
            )

    def refuse_what_cannot_be_set(self) -> None:
        """Refuse a database that cannot keep the library's promises.

        Raises:
            UnusableError: If it cannot.
        """
        if self.encoding != "UTF8":
            raise UnusableError(
                f"the database stores text in {self.encoding}, which cannot hold every character; "
                "use one that was created with ENCODING 'UTF8'"
            )
        if self.replication_role == "replica":
            raise UnusableError(
                "session_replication_role is 'replica', which switches foreign keys and the "
                "protection of the audit trail off; take that setting away from this user"
            )

    def settings(self, others: Mapping[str, str]) -> Mapping[str, str]:
        """Give what the session is to be set to.

        Args:
            others: Those from the configuration.
        """
        return {**SETTINGS, **(DURABLE if self.synchronous_commit == "off" else {}), **others}


def pinned(answer: Sequence[Any], others: Mapping[str, str]) -> Mapping[str, str]:
    """Give what each transaction is set to where its session is not the library's own.

    Args:
        answer: The one row of the answer to `ROLE_QUESTION`.
        others: The settings from the configuration.
    """
    search_path, synchronous_commit, lock_timeout, idle_timeout = map(str, answer)
    settings = {
        **SETTINGS,
        "search_path": search_path,
        "synchronous_commit": synchronous_commit,
        "lock_timeout": lock_timeout,
        "idle_in_transaction_session_timeout": idle_timeout,
        **(DURABLE if synchronous_commit == "off" else {}),
        **others,
    }
    del settings["default_transaction_isolation"]  # each BEGIN says how isolated it is
    return settings


def found(answer: Sequence[Any]) -> Found:
    """Read the answer to `QUESTION`.

    Args:
        answer: The one row of it.
    """
    pid, *texts = answer
    return Found(int(pid), *map(str, texts))


def assignments(settings: Mapping[str, str]) -> str:
    """Write settings as statements, whose values hold no quotes.

    Args:
        settings: The settings, by name.
    """
    return "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())


def assignments_within(settings: Mapping[str, str]) -> str:
    """Write settings as one statement, which changes them until the transaction ends.

    Args:
        settings: The settings, by name.
    """
    quoted = {name: value.replace("'", "''") for name, value in settings.items()}
    calls = [f"set_config('{name}', '{value}', true)" for name, value in quoted.items()]
    return f"SELECT {', '.join(calls)}"
