"""How a database is, for readiness endpoints and whoever watches: what `health()` returns."""

import enum
from typing import Final

from pydantic import BaseModel, ConfigDict, computed_field


class SchemaCondition(enum.StrEnum):
    """What a schema is, compared with the revisions that this version knows."""

    EMPTY = "empty"
    """Neither a version nor a table of ours."""

    CURRENT = "current"
    """At the head revision, complete."""

    BEHIND = "behind"
    """At an earlier revision."""

    AHEAD = "ahead"
    """At a revision that only a newer release knows."""

    AMBIGUOUS = "ambiguous"
    """With several version rows, of which one at most can be right."""

    INCOMPLETE = "incomplete"
    """At the head revision by its version, but not all tables are there."""

    TAKEN = "taken"
    """Something that is no table of ours has one of our names."""

    HIDDEN = "hidden"
    """Statements find other tables than ours under our names."""

    UNSEEN = "unseen"
    """This user may not know whether our tables are there."""

    FOREIGN = "foreign"
    """Tables of our names that no migration of ours has made."""

    PREDECESSOR = "predecessor"
    """Exactly the tables of the system before this one, which an upgrade adopts."""

    INTERRUPTED = "interrupted"
    """Left by a migration of ours that was stopped, where DDL cannot be rolled back."""


class HealthReason(enum.StrEnum):
    """Why a database is not in full health."""

    NOT_CONNECTED = "not_connected"
    """`connect` has not returned yet, or `disconnect` was called."""

    UNREACHABLE = "unreachable"
    """The database refused, or could not be asked."""

    NO_ANSWER = "no_answer"
    """The database did not answer in time."""

    SCHEMA_MISSING = "schema_missing"
    """The database has no schema yet."""

    SCHEMA_BEHIND = "schema_behind"
    """The schema is of an earlier release."""

    SCHEMA_AHEAD = "schema_ahead"
    """The schema is of a newer release; statements that still fit it work."""

    MIGRATION_UNFINISHED = "migration_unfinished"
    """A migration was interrupted."""

    SCHEMA_UNUSABLE = "schema_unusable"
    """The tables are not those of any release, or not to be seen."""

    SCHEMA_UNKNOWN = "schema_unknown"
    """The database answers, but its schema could not be looked at in time."""

    COPY_UNFINISHED = "copy_unfinished"
    """The database holds only the beginning of a copy or a restore."""

    CONNECTIONS_EXHAUSTED = "connections_exhausted"
    """All connections are in use, so that further calls wait for one."""

    WRITE_QUEUE_LONG = "write_queue_long"
    """More writes wait than one trip can take."""

    LOG_LARGE = "log_large"
    """The write-ahead log of SQLite cannot be written back, as by a reader that does not end."""

    UNIT_OLD = "unit_old"
    """A unit of work has been open for so long that others may have given up."""


UNFIT: Final = frozenset(
    {
        HealthReason.NOT_CONNECTED,
        HealthReason.UNREACHABLE,
        HealthReason.NO_ANSWER,
        HealthReason.SCHEMA_MISSING,
        HealthReason.SCHEMA_BEHIND,
        HealthReason.MIGRATION_UNFINISHED,
        HealthReason.SCHEMA_UNUSABLE,
        HealthReason.COPY_UNFINISHED,
    }
)
"""The reasons for which an instance should get no requests: they would fail, or read too little."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Degradation(_Model):
    """One reason why a database is not in full health.

    Attributes:
        code: The reason, for programs; codes do not change.
        text: The reason in a sentence, for people.
    """

    code: HealthReason
    text: str


class Health(_Model):
    """How a database is at one moment, as one process sees it.

    It has no stored value, no key and no password in it, and of errors only class and reason.

    Attributes:
        backend_name: The kind of database, such as "sqlite".
        reachable: Whether the database answered in time.
        latency_seconds: How long the answer to `SELECT 1` took, without the wait for a connection
            of the pool; None without an answer.
        error: The class of the error that came instead of an answer, if one did.
        schema_state: The state of the tables; None if it could not be looked at in time. Where an
            extension's are not current, while the library's are, that of the extension's.
        copy_unfinished: Whether the database holds only the beginning of a copy or a restore;
            None if that could not be looked at in time.
        connections_in_use: How many connections do something, or are kept by somebody.
        connections_open: How many connections there are.
        connections_limit: How many connections there can be.
        calls_waiting: How many calls wait for a connection.
        write_queue: How many calls and units of work wait to write.
        write_lock_held: Whether somebody has the write lock; None where there is none.
        log_bytes: The size of SQLite's write-ahead log; None where there is none.
        oldest_unit_seconds: The age of the oldest open unit of work; None without one.
        degraded: Why the database is not in full health; empty if it is.
    """

    backend_name: str
    reachable: bool
    latency_seconds: float | None = None
    error: str | None = None
    schema_state: SchemaCondition | None = None
    copy_unfinished: bool | None = None
    connections_in_use: int = 0
    connections_open: int = 0
    connections_limit: int = 0
    calls_waiting: int = 0
    write_queue: int = 0
    write_lock_held: bool | None = None
    log_bytes: int | None = None
    oldest_unit_seconds: float | None = None
    degraded: tuple[Degradation, ...] = ()

    @computed_field  # type: ignore[prop-decorator]  # https://docs.pydantic.dev/latest/concepts/fields/#the-computed_field-decorator
    @property
    def is_ready(self) -> bool:
        """Whether this process should get requests: none of the reasons is in `UNFIT`."""
        return UNFIT.isdisjoint(each.code for each in self.degraded)
