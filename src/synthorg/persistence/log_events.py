"""All that this library logs: each event has a name that stays, a level, a sentence and fields."""

import logging
from enum import Enum
from logging import DEBUG, INFO, WARNING


class LogEvent(Enum):
    """What is logged, by `log_event` alone.

    In a healthy hour, there is nothing from INFO on but what belongs to starts and stops.

    Attributes:
        level: The level of `logging`.
        sentence: The message, with the fields that it shows.
        fields: The names of all fields, which are attributes of the log record.
    """

    CONNECTED = (INFO, "connected", "backend")
    DISCONNECTED = (INFO, "disconnected", "backend")
    NOTHING_TO_MIGRATE = (DEBUG, "there is nothing to migrate")
    DATABASE_BACKED_UP = (INFO, "the database was backed up as %(backup)s", "backup")
    DATABASE_ADOPTED = (INFO, "the predecessor's database was adopted")
    WRITE_INTERRUPTED = (
        INFO,
        "what an interrupted write of an artifact had left was removed",
    )
    WAL_NOT_LEFT = (
        WARNING,
        "the file stays in WAL mode, since another connection has it open",
    )
    WAL_NOT_SUPPORTED = (
        WARNING,
        "the file system does not support WAL; readers wait for writers",
    )
    HEALTH_CHECK_FAILED = (WARNING, "a health check failed", "backend")
    CONFLICT_RETRIED = (
        DEBUG,
        "a %(what)s met another transaction and is run again",
        "what",
        "table",
        "reason",
    )
    CONNECTION_RETRIED = (
        INFO,
        "a %(what)s lost its connection and is run again",
        "what",
        "table",
        "reason",
    )
    RECORD_PASSED_OVER = (
        WARNING,
        "a stored record was passed over: %(reason)s",
        "table",
        "key",
        "reason",
    )
    TAIL_HELD_UP = (
        WARNING,
        "whoever follows %(table)s has to wait: too many transactions are open that may save there",
        "table",
        "ranges",
    )
    OBSERVER_FAILED = (
        WARNING,
        "an observer failed, and may fail again: %(observer)s raised %(error)s",
        "observer",
        "error",
    )
    CALL_SLOW = (
        WARNING,
        "a call was slow: %(repository)s.%(operation)s took %(milliseconds)d ms",
        "repository",
        "operation",
        "table",
        "milliseconds",
        "waited_milliseconds",
        "rows",
        "route",
        "database",
        "attempts",
        "error",
    )
    CALL_EXPLAINED = (
        WARNING,
        "the plan of a slow call: %(repository)s.%(operation)s\n%(plan)s",
        "repository",
        "operation",
        "table",
        "database",
        "plan",
    )
    CALL_UNEXPLAINED = (
        INFO,
        "no plan of a slow call could be had: %(repository)s.%(operation)s",
        "repository",
        "operation",
        "table",
        "database",
        "error",
    )
    POSITION_UNKNOWN = (
        WARNING,
        "the primary does not say how far it has come, and answers in place of its replicas",
        "primary",
    )
    REPLICA_LEFT_ALONE = (
        WARNING,
        "a replica cannot be read from at present: %(reason)s",
        "replica",
        "reason",
    )
    REPLICA_READ_AGAIN = (INFO, "a replica is read from again", "replica")

    def __init__(self, level: int, sentence: str, *fields: str) -> None:
        self.level = level
        self.sentence = sentence
        self.fields = fields

    @property
    def event_name(self) -> str:
        """The name, which every log record has as its attribute `event`."""
        return self.name.lower()


def log_event(logger: logging.Logger, event: LogEvent, **fields: object) -> None:
    """Log an event.

    Args:
        logger: The logger of the module where it happens.
        event: The event.
        fields: A value for each of its fields, of which none is a stored one, but for keys.
    """
    if not logger.isEnabledFor(event.level):
        return
    assert fields.keys() == set(event.fields), event
    context = {"event": event.event_name, **fields}
    # No arguments at all, or the sentence would be formatted with an empty mapping.
    shown = (fields,) if fields else ()
    logger.log(event.level, event.sentence, *shown, extra=context, stacklevel=2)
