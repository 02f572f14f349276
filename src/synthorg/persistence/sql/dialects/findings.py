"""What is found out about a database that an operator should know, with what to do."""

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How much it matters."""

    ERROR = "error"
    """Something is wrong, or missing, or will fail."""

    WARNING = "warning"
    """Something may be lost, or fail, or be slow before long."""

    NOTE = "note"
    """Something could be better."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found. It never has a stored value, but for the keys of records.

    Attributes:
        severity: How much it matters.
        topic: What it is about, one of few words that a script can tell.
        what: What was found.
        remedy: What to do about it.
    """

    severity: Severity
    topic: str
    what: str
    remedy: str


def error(topic: str, what: str, remedy: str) -> Finding:
    """Make the finding of something that is wrong."""
    return Finding(Severity.ERROR, topic, what, remedy)


def warning(topic: str, what: str, remedy: str) -> Finding:
    """Make the finding of something that may go wrong."""
    return Finding(Severity.WARNING, topic, what, remedy)


def note(topic: str, what: str, remedy: str) -> Finding:
    """Make the finding of something that could be better."""
    return Finding(Severity.NOTE, topic, what, remedy)
