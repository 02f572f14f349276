"""What went wrong in a database, told apart as far as callers and retries need it."""

import enum
from dataclasses import dataclass
from typing import Final


class Fault(enum.Enum):
    """What went wrong, as far as a caller or a retry has to tell apart."""

    DUPLICATE = enum.auto()
    """Another row owns a unique key."""

    APPEND_ONLY = enum.auto()
    """The database refuses to change or replace a row that exists."""

    MISSING = enum.auto()
    """A value that every row needs is NULL."""

    REFUSED = enum.auto()
    """The statement or its values are at fault; it will fail again."""

    SCHEMA = enum.auto()
    """A table or a column is missing, as in a database that was not migrated."""

    TRANSIENT = enum.auto()
    """The whole transaction may succeed when it is run again."""

    CONNECTION = enum.auto()
    """The database could not be reached, or not be used at all."""


FATAL: Final = (Fault.TRANSIENT, Fault.CONNECTION, Fault.SCHEMA)
"""The faults after which a database may have rolled back all of a transaction."""


@dataclass(frozen=True)
class Diagnosis:
    """A fault and the reason to give to people, free of any value."""

    fault: Fault
    reason: str
    answer_is_lost: bool = False
    """Whether the database may have done what was sent to it, although this is what came of it."""
    is_silence: bool = False
    """Whether it had long to answer, so that asking again at once makes little sense."""
    is_demotion: bool = False
    """Whether other connections lead to the same server, which takes no writes any more."""
    may_pass: bool = False
    """Whether a connection may be had in a moment, as after a failover."""
    is_crowd: bool = False
    """Whether there are as many connections as somebody allows."""
    is_damage: bool = False
    """Whether the storage itself is damaged."""

    @property
    def is_conflict(self) -> bool:
        """Whether it may succeed at once when it is run again, having waited for nobody."""
        return self.fault is Fault.TRANSIENT and self != LOCKED


class UnusableError(OSError):
    """A connection that was opened is of no use, or could not be opened, for a reason to tell.

    It is an OSError, which all layers take for a connection that failed.

    Args:
        reason: What to tell people, free of any value.
        is_silence: Whether there was no answer for as long as one may take.
        may_pass: Whether one may be had in a moment, as after a failover.
        is_crowd: Whether there are as many as somebody allows.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_silence: bool = False,
        may_pass: bool = False,
        is_crowd: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_silence = is_silence
        self.may_pass = may_pass
        self.is_crowd = is_crowd


DUPLICATE: Final = Diagnosis(Fault.DUPLICATE, "another record has the same unique value")
APPEND_ONLY: Final = Diagnosis(Fault.APPEND_ONLY, "the database protects existing rows from change")
BROKEN_REFERENCE: Final = Diagnosis(
    Fault.REFUSED, "it refers to a record that does not exist, or one that exists refers to it"
)
BROKEN_CHECK: Final = Diagnosis(Fault.REFUSED, "it would break a CHECK constraint")
MISSING_VALUE: Final = Diagnosis(Fault.MISSING, "a value that every row needs is missing")
SCHEMA_MISFIT: Final = Diagnosis(Fault.SCHEMA, "the schema does not fit the statement")
OUT_OF_RANGE: Final = Diagnosis(Fault.REFUSED, "a number or a sum is out of range")
TIMED_OUT: Final = Diagnosis(Fault.REFUSED, "it took longer than the statement timeout")
LOCKED: Final = Diagnosis(Fault.TRANSIENT, "others kept the data locked for too long")


def unusable(reason: str, *, may_pass: bool = False) -> Diagnosis:
    """Make the diagnosis of a database that cannot be reached or used."""
    return Diagnosis(Fault.CONNECTION, reason, may_pass=may_pass)


def crowded(reason: str, remedy: str) -> Diagnosis:
    """Make the diagnosis of a connection for which there is no room.

    Args:
        reason: Who has as many as are allowed.
        remedy: What to change there, so that there may be more.
    """
    told = f"{reason}; {remedy}, or have fewer processes or a smaller pool_size"
    return Diagnosis(Fault.CONNECTION, told, may_pass=True, is_crowd=True)


def damaged(reason: str) -> Diagnosis:
    """Make the diagnosis of a database whose storage is damaged."""
    return Diagnosis(Fault.CONNECTION, reason, is_damage=True)


def lost(reason: str) -> Diagnosis:
    """Make the diagnosis of a connection that ended before the answer had come."""
    return Diagnosis(Fault.CONNECTION, reason, answer_is_lost=True, may_pass=True)


def demoted(reason: str) -> Diagnosis:
    """Make the diagnosis of a server that takes no writes any more."""
    return Diagnosis(Fault.CONNECTION, reason, is_demotion=True, may_pass=True)


def refusal_of(diagnosis: Diagnosis) -> UnusableError:
    """Make the error for a connection that could not be opened, of what a driver's error means."""
    return UnusableError(
        diagnosis.reason,
        is_silence=diagnosis.is_silence,
        may_pass=diagnosis.may_pass,
        is_crowd=diagnosis.is_crowd,
    )


SILENT: Final = Diagnosis(
    Fault.CONNECTION,
    "no answer came in time",
    answer_is_lost=True,
    is_silence=True,
    may_pass=True,
)
