"""When something is run again, and what is certain after it failed."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from synthorg.persistence.errors import (
    NotConnectedError,
    OutcomeUnknownError,
    PersistenceConnectionError,
    TransactionConflictError,
)
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.sql.drivers.faults import Diagnosis, Fault
from synthorg.persistence.sql.drivers.observation import note_another_attempt
from synthorg.persistence.sql.execution.executor import Result
from synthorg.persistence.sql.statements.statement import Statement

logger = logging.getLogger(__name__)

STATEMENT_ATTEMPTS: Final = 10
UNIT_ATTEMPTS: Final = 20
FIRST_DELAY_SECONDS: Final = 0.02
LONGEST_DELAY_SECONDS: Final = 1.0


_NOT_FOR_A_MOMENT: Final = (OutcomeUnknownError, NotConnectedError)
"""The connection errors after which a transaction is not run again."""


@dataclass(frozen=True)
class Failure:
    """What came of an attempt to run a statement.

    Attributes:
        diagnosis: What the dialect found.
        cause: The driver's error without its values.
        on_kept_connection: Whether it was run on a connection of the driver pool; others can be
            asked whether they are alive, and may wait for locks.
    """

    diagnosis: Diagnosis
    cause: BaseException | None
    on_kept_connection: bool = False


@dataclass(frozen=True)
class RetryPolicy:
    """After which failures one statement, in a transaction of its own, is run again.

    Attributes:
        statement: The statement.
        duplicate_may_pass: Whether a duplicate may be gone when an upsert is run again.
        deadline: The time of the event loop until when others' locks are waited for.
        survives_failover: Whether a connection that was lost is made up for by another one.
    """

    statement: Statement
    duplicate_may_pass: bool
    deadline: float
    survives_failover: bool = False

    def allows(self, failures: Sequence[Failure]) -> bool:
        """Tell whether another attempt may help and does no harm.

        Args:
            failures: What came of those before, in their order.
        """
        *earlier, failure = failures
        diagnosis = failure.diagnosis
        if diagnosis.fault is Fault.TRANSIENT:
            # On SQLite, one attempt may have waited that long.
            return asyncio.get_running_loop().time() < self.deadline
        if any(each.diagnosis.fault is diagnosis.fault for each in earlier):
            return False
        if diagnosis.fault is Fault.DUPLICATE:
            return self.statement.replaces and self.duplicate_may_pass
        if diagnosis.fault is not Fault.CONNECTION or diagnosis.is_silence:
            return False
        if diagnosis.answer_is_lost:
            return self.statement.repeatable or self.statement.deletes_one
        # What a server refused for being read-only, a new connection may lead to its successor.
        return failure.on_kept_connection or diagnosis.is_demotion or self.survives_failover

    def leaves_unknown(self, failures: Sequence[Failure]) -> bool:
        """Tell whether the statement may have been carried out, although all attempts failed.

        Args:
            failures: What came of them, in their order.
        """
        if self.statement.reads or not _answers_were_lost(failures):
            return False
        # Any other answer to the last one says what is stored.
        return failures[-1].diagnosis.fault in (Fault.CONNECTION, Fault.TRANSIENT)

    def hides(self, row_count: object, failures: Sequence[Failure]) -> bool:
        """Tell whether an attempt whose answer was lost may have done what this one found done.

        Args:
            row_count: The result of the attempt that succeeded.
            failures: What came of those before.
        """
        return self.statement.deletes_one and row_count == 0 and _answers_were_lost(failures)


def _answers_were_lost(failures: Sequence[Failure]) -> bool:
    return any(each.diagnosis.answer_is_lost for each in failures)


def pauses(attempts: int) -> Iterator[float | None]:
    """Yield the jittered pause after each attempt that may be repeated, and None after the last.

    Args:
        attempts: How many there are.
    """
    yield from map(_pause_after, range(attempts - 1))
    yield None


def pauses_for(seconds: float) -> Iterator[float | None]:
    """Yield the jittered pause after each attempt of a time, and None after the last.

    Args:
        seconds: From when on there is no further one.
    """
    deadline = time.monotonic() + seconds
    for attempt in count():
        if time.monotonic() >= deadline:
            break
        yield _pause_after(attempt)
    yield None


def _pause_after(attempt: int) -> float:
    # So many doublings are beyond the longest pause.
    pause = min(FIRST_DELAY_SECONDS * float(2 ** min(attempt, 10)), LONGEST_DELAY_SECONDS)
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)


async def run_again_on_conflict(
    attempt: Callable[[], Awaitable[Result]], *, survives_failover: bool = False
) -> Result:
    """Run a transaction, and again when it met another one, with a pause in between.

    Args:
        attempt: Begins, does and ends the transaction.
        survives_failover: Whether it is run again, once, also when its connection was lost before
            its commit was sent.

    Returns:
        What the attempt returns that succeeds.

    Raises:
        TransactionConflictError: If every attempt met another transaction.
        PersistenceConnectionError: If the connection was lost, or none could be had.
    """
    may_be_lost = survives_failover
    for pause in pauses(UNIT_ATTEMPTS):
        try:
            return await attempt()
        except TransactionConflictError as error:
            if pause is None:
                raise
            _tell_of_another_attempt(LogEvent.CONFLICT_RETRIED, error)
        except PersistenceConnectionError as error:
            if pause is None or not may_be_lost or isinstance(error, _NOT_FOR_A_MOMENT):
                raise
            may_be_lost = False
            _tell_of_another_attempt(LogEvent.CONNECTION_RETRIED, error)
        note_another_attempt()
        await asyncio.sleep(pause)
    raise AssertionError("the last pause is None")


async def run_again_if_unknown(write: Callable[[], Awaitable[Result]]) -> Result:
    """Write what may be written twice, and do so when the answer to the first time was lost.

    Args:
        write: Writes it.

    Returns:
        What it returns.

    Raises:
        OutcomeUnknownError: If it is not known after that either.
    """
    try:
        return await write()
    except OutcomeUnknownError as error:
        unknown = error
    _tell_of_another_attempt(LogEvent.CONNECTION_RETRIED, unknown)
    note_another_attempt()
    try:
        return await write()
    except (PersistenceConnectionError, TransactionConflictError):
        raise unknown from unknown.__cause__


def _tell_of_another_attempt(event: LogEvent, error: Exception) -> None:
    log_event(logger, event, what="transaction", table=None, reason=type(error).__name__)
