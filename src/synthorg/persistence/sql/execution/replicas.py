"""Reads on replicas, none of which is answered by a state older than one that was written or seen.

The callers of one backend count on what any of them has written, and on what a replica has shown to
any of them. Before a replica answers, the primary is asked for its position if there was any of
that since, and the connection that is to answer is asked whether it is there.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    PersistenceConnectionError,
    TransactionConflictError,
)
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.sql.dialects.positions import Position
from synthorg.persistence.sql.drivers.faults import FATAL, TIMED_OUT, Fault
from synthorg.persistence.sql.execution.database import Database, Ready
from synthorg.persistence.sql.execution.executor import Rows
from synthorg.persistence.sql.execution.failures import failure_of, redacted
from synthorg.persistence.sql.execution.transaction import Transaction
from synthorg.persistence.sql.statements.statement import Parameters, Statement

logger = logging.getLogger(__name__)

REACHED: Final = "synthorg_reached"
"""Under which name a connection remembers the goal that its server has reached."""

FIRST_RESPITE_SECONDS: Final = 0.5
LONGEST_RESPITE_SECONDS: Final = 30.0
"""How long a replica is left alone after it has failed once, and has gone on doing so."""

FIRST_PAUSE_SECONDS: Final = 0.001
LONGEST_PAUSE_SECONDS: Final = 0.05
"""Between two looks at how far a replica has come."""

ANSWER_SECONDS: Final = 2.0
"""How long a replica may take to say how far it has come."""


class NotReadyError(Exception):
    """A replica cannot answer at present.

    Args:
        reason: Why.
        is_fault: Whether others would fare likewise, so that it is left alone for a while.
    """

    def __init__(self, reason: str, *, is_fault: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_fault = is_fault


class RefusedError(Exception):
    """A replica has refused a statement.

    Args:
        reason: Why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PositionUnknownError(Exception):
    """The primary does not say how far it has come."""


@dataclass(frozen=True)
class Goal:
    """A position that the servers of reads have to have reached.

    Attributes:
        number: Its number, which is higher than that of all before.
        position: The position.
        count: How much had been written and seen when it was asked for.
    """

    number: int
    position: Position
    count: int


class Goals:
    """Finds the position that has to be reached.

    Args:
        primary: The database that is written to.
    """

    def __init__(self, primary: Database) -> None:
        self._primary = primary
        self._seen = primary.seen
        self._asking = asyncio.Lock()
        self._goal: Goal | None = None
        self._is_told = False
        """Whether it was told that the primary does not say."""

    async def current(self) -> Goal:
        """Give the position that stands for all that was written and seen up to now.

        Raises:
            PositionUnknownError: If the primary does not say.
        """
        needed = self._seen.count
        if self._goal is not None and self._goal.count >= needed:
            return self._goal
        async with self._asking:  # who waits for it may do with the answer to another's question
            if self._goal is None or self._goal.count < needed:
                self._goal = await self._ask()
            return self._goal

    async def _ask(self) -> Goal:
        count = self._seen.count
        try:
            position = await self._primary.position()
        except self._primary.failures as error:
            raise self._unknown() from redacted(error)
        if position is None or not position.takes_writes:
            raise self._unknown()
        self._is_told = False
        return Goal(0 if self._goal is None else self._goal.number + 1, position, count)

    def _unknown(self) -> PositionUnknownError:
        if not self._is_told:
            self._is_told = True
            primary = self._primary.dialect.description
            log_event(logger, LogEvent.POSITION_UNKNOWN, primary=primary)
        return PositionUnknownError()


class Replica:
    """One replica, and whether it is worth asking.

    Args:
        database: The database there.
        wait_seconds: How long it is waited for.
    """

    def __init__(self, database: Database, wait_seconds: float) -> None:
        self.database = database
        self.is_primary = False
        """Whether it was found to be one itself, as after its promotion."""
        self.answers = 0
        """How many reads and units it has answered."""
        self.reason: str | None = None
        """Why it is left alone; None while it is not."""
        self._wait_seconds = wait_seconds
        self._failures = 0
        self._left_alone_until = 0.0

    @property
    def description(self) -> str:
        """Where it is, for messages."""
        return self.database.dialect.description

    def may_be_asked(self) -> bool:
        """Tell whether to ask it; of those who would after it has failed, one is the first."""
        if time.monotonic() < self._left_alone_until:
            return False
        if self._failures:
            self._leave_alone()
        return True

    def succeeded(self) -> None:
        """Note that it has answered."""
        self.answers += 1
        if self._failures:
            self._failures, self._left_alone_until, self.reason = 0, 0.0, None
            log_event(logger, LogEvent.REPLICA_READ_AGAIN, replica=self.description)

    def failed(self, reason: str) -> None:
        """Note that it could not answer.

        Args:
            reason: Why.
        """
        self.reason = reason
        if self._failures:
            return  # as others have found out, or whoever asks it first again
        self._leave_alone()
        log_event(logger, LogEvent.REPLICA_LEFT_ALONE, replica=self.description, reason=reason)

    def _leave_alone(self) -> None:
        respite = FIRST_RESPITE_SECONDS * float(2 ** min(self._failures, 10))
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
        self._left_alone_until = time.monotonic() + min(respite, LONGEST_RESPITE_SECONDS) * jitter
        self._failures += 1

    async def reach(self, connection: AsyncConnection, goal: Goal, deadline: float) -> None:
        """Wait until what a connection leads to has reached a position.

        Args:
            connection: A connection with no transaction begun.
            goal: The position.
            deadline: Until when, by the monotonic clock.

        Raises:
            NotReadyError: If it has not by then, or never will.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            position = await self._position(connection)
            if position is None:
                raise NotReadyError("it does not say how far it has come")
            self.is_primary = position.takes_writes
            if not position.follows(goal.position):
                raise NotReadyError("it does not follow the server that is written to, or not yet")
            if position.has_reached(goal.position):
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotReadyError(f"it is more than {self._wait_seconds:g} s behind")
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _position(self, connection: AsyncConnection) -> Position | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.database.position_on(connection)
        except TimeoutError:
            reason = f"it did not answer within {ANSWER_SECONDS:g} s"
        raise NotReadyError(reason)


class Replicas:
    """The replicas of a database, of which one answers as long as it can.

    With each change from one to another, and where the primary answers instead, all count on what
    was seen there; so time does not run backwards for anybody.

    Args:
        primary: The database that is written to.
        replicas: A database for each replica.
        wait_seconds: How long a replica is waited for.
    """

    def __init__(
        self, primary: Database, replicas: Sequence[Database], wait_seconds: float
    ) -> None:
        self._primary = primary
        self._goals = Goals(primary)
        self._wait_seconds = wait_seconds
        self._ready_in = wait_seconds + ANSWER_SECONDS
        """How long it may take until a connection to a replica is there, and is far enough."""
        self.all = [Replica(database, wait_seconds) for database in replicas]
        self._current = random.choice(self.all)  # noqa: S311 (each process takes another)

    async def close(self) -> None:
        """Close the connections to all of them."""
        await asyncio.gather(*[replica.database.close() for replica in self.all])

    async def fetch(self, statement: Statement, parameters: Parameters) -> Rows:
        """Run a statement that reads, as `Executor` says."""
        self._primary.check_usable()
        deadline = time.monotonic() + self._wait_seconds
        refusals: list[tuple[Replica, str]] = []
        for replica in self._in_order():
            ready = self._ready_on(replica, deadline)
            try:
                rows = await self._fetch(replica, ready, statement, parameters)
            except NotReadyError as refusal:
                self._failed(replica, refusal)
            except RefusedError as refusal:
                refusals.append((replica, refusal.reason))
            except PositionUnknownError:
                break
            else:
                self._succeeded(replica)
                return rows
        try:
            rows = await self._primary.fetch(statement, parameters)
        finally:
            self._primary.seen.note()
        for replica, reason in refusals:  # so it was not for the statement
            replica.failed(reason)
        return rows

    async def _fetch(
        self, replica: Replica, ready: Ready, statement: Statement, parameters: Parameters
    ) -> Rows:
        database = replica.database
        try:
            return await database.fetch_once(ready, self._ready_in, statement, parameters)
        except database.failures as error:
            diagnosis = database.diagnose(error)
            cause = redacted(error)
        if diagnosis == TIMED_OUT:  # nor would the primary be faster
            prefix = database.dialect.table_prefix
            raise failure_of(diagnosis, statement, parameters, prefix) from cause
        if diagnosis.fault not in FATAL:
            raise RefusedError(diagnosis.reason) from cause
        # What the server has to cancel for what it replays, the primary need not.
        is_fault = diagnosis.fault is not Fault.TRANSIENT
        raise NotReadyError(diagnosis.reason, is_fault=is_fault) from cause

    @asynccontextmanager
    async def unit(self, *, savepoints: bool = True) -> AsyncIterator[Transaction]:
        """Begin a transaction that reads one state and writes nothing.

        Args:
            savepoints: Whether what fails is undone alone.
        """
        self._primary.check_usable()
        async with AsyncExitStack() as stack:
            replica, transaction = await self._begun(stack, savepoints=savepoints)
            try:
                yield transaction
            except PersistenceConnectionError as error:
                if replica is not None and transaction.fatal_error is not None:
                    replica.failed(str(error))
                raise
            finally:
                if replica is None:
                    self._primary.seen.note()

    async def _begun(
        self, stack: AsyncExitStack, *, savepoints: bool
    ) -> tuple[Replica | None, Transaction]:
        deadline = time.monotonic() + self._wait_seconds
        for replica in self._in_order():
            # Nothing can be done again later, so that it shows now whether the connection is alive.
            ready = self._ready_on(replica, deadline, always=True)
            unit = replica.database.unit(read_only=True, ready=ready, savepoints=savepoints)
            try:
                async with asyncio.timeout(self._ready_in):
                    transaction = await stack.enter_async_context(unit)
            except NotReadyError as refusal:
                self._failed(replica, refusal)
            except TimeoutError:
                reason = f"it was not ready within {self._ready_in:g} s"
                self._failed(replica, NotReadyError(reason))
            except (PersistenceConnectionError, TransactionConflictError) as error:
                self._failed(replica, NotReadyError(str(error)))
            except PositionUnknownError:
                break
            else:
                self._succeeded(replica)
                return replica, transaction
        unit = self._primary.unit(read_only=True, savepoints=savepoints)
        return None, await stack.enter_async_context(unit)

    def _in_order(self) -> Iterator[Replica]:
        """Yield those that may be asked: that of before first, and any primary at last."""
        current = self._current
        for replica in sorted(self.all, key=lambda each: (each.is_primary, each is not current)):
            if replica.may_be_asked():
                if replica is not self._current:
                    self._primary.seen.note()
                yield replica

    def _succeeded(self, replica: Replica) -> None:
        replica.succeeded()
        if replica is not self._current:
            self._current = replica
            self._primary.seen.note()

    def _failed(self, replica: Replica, refusal: NotReadyError) -> None:
        self._primary.check_usable()  # all are closed together
        if refusal.is_fault:
            replica.failed(refusal.reason)

    def _ready_on(self, replica: Replica, deadline: float, *, always: bool = False) -> Ready:
        """Make what has a connection to a replica reach what callers count on.

        Args:
            replica: The replica.
            deadline: Until when, by the monotonic clock.
            always: Whether to ask it also if that is known.
        """

        async def ready(connection: AsyncConnection) -> None:
            known = (await connection.get_raw_connection()).info
            if REACHED not in known:
                # It may lead to a server that has restarted, and lost what it has already shown.
                self._primary.seen.note()
            goal = await self._goals.current()
            if known.get(REACHED, -1) < goal.number or always:
                await replica.reach(connection, goal, deadline)
                if replica.database.dialect.keeps_sessions:
                    known[REACHED] = goal.number

        return ready
