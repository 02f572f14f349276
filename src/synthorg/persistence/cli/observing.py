"""Whom a command tells what it does: OpenTelemetry, where that is installed and set up."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from synthorg.persistence.observing import Observer, What
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.observation import observed_by


def observers() -> Sequence[Observer]:
    """Give an observer if the process has a provider, as `opentelemetry-instrument` sets up."""
    try:
        from synthorg.persistence.telemetry import OpenTelemetryObserver  # noqa: PLC0415 (an extra)
    except ImportError:
        return ()
    observer = OpenTelemetryObserver()
    return () if observer.is_idle() else (observer,)


def observed(dialect: Dialect, what: What, command: str) -> AbstractContextManager[object]:
    """Tell of what a command does inside.

    Args:
        dialect: The database.
        what: What it is.
        command: What it is called.
    """
    return observed_by(observers(), dialect.observed, what, command)
