"""The fast route of servers: kept connections that send what waits in as few trips as they can."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from synthorg.persistence.sql.drivers.answer_timeout import AnswerTimeout
from synthorg.persistence.sql.drivers.base import Call, DriverPool, DriverStatement, NotWritten
from synthorg.persistence.sql.drivers.batching import Batcher, Outcome
from synthorg.persistence.sql.drivers.cancellation import run_to_completion
from synthorg.persistence.sql.drivers.faults import Fault, refusal_of
from synthorg.persistence.sql.drivers.idle_connections import IDLE_SECONDS
from synthorg.persistence.sql.drivers.pool_state import PoolState
from synthorg.persistence.sql.drivers.server_driver import ServerDriver
from synthorg.persistence.sql.drivers.server_policy import ServerPolicy

SMALLEST_POOL: Final = 4
"""Below this, kept connections would leave too few for transactions."""

SLOW_ROW_SECONDS: Final = 0.00004
"""From how long the server takes to find a row it reads from its disk: the rows of one statement
one after the other, those of several side by side."""

LOCK_TIMEOUT_MILLISECONDS: Final = 100
"""How long a kept connection waits for a row: others wait behind it. Who fails for that is run
again on a connection of its own, which may wait for long."""


def kept_connections(pool_size: int) -> int:
    """Divide a pool: how many of its connections are kept for the fast route.

    Args:
        pool_size: How many connections there are in all.
    """
    return pool_size // 2 + 1 if pool_size >= SMALLEST_POOL else 0


class ServerPool(DriverPool):
    """Prepared statements on a server: one connection writes, some read rows, the rest lists.

    Args:
        connections: The connections, in this order.
        engine: The engine of their connections.
        for_rows: How many read rows, if as many are left for lists.
    """

    def __init__(
        self,
        connections: Sequence["ServerConnection"],
        engine: AsyncEngine,
        *,
        for_rows: int = 1,
    ) -> None:
        self._all = connections
        self._engine = engine
        lists_from = 1 + max(1, min(for_rows, (len(connections) - 1) // 2))
        self._writes = Batcher(connections[:1])
        self._rows = Batcher(connections[1:lists_from], slow_seconds=SLOW_ROW_SECONDS)
        self._lists = Batcher(connections[lists_from:])
        self._batchers = (self._writes, self._rows, self._lists)

    async def open(self) -> None:
        """Do nothing, since each connects when it is first used."""

    async def close(self) -> None:
        """Close the connections, as `DriverPool` says."""
        for batcher in self._batchers:
            await batcher.finish()
        await self.abandon()

    async def abandon(self) -> None:
        """Let go of the connections, as `DriverPool` says."""
        await asyncio.gather(*[connection.close() for connection in self._all])
        await self._engine.dispose()

    async def fetch(self, call: Call) -> Sequence[Sequence[Any]]:
        """Run a statement that reads, as `DriverPool` says."""
        batcher = self._lists if call.statement.scans else self._rows
        return call.statement.decode(await batcher.run(call))

    async def execute(self, call: Call) -> int:
        """Run a statement that writes, as `DriverPool` says."""
        row_count: int = await self._writes.run(call)
        return row_count

    async def make_room(self) -> bool:
        """Close a connection, as `DriverPool` says: a call that has none goes another way."""
        for connection in reversed(self._all):
            if connection.is_open:
                await connection.give_up()
                return True
        return False

    @property
    def state(self) -> PoolState:
        """How busy the connections are."""
        return PoolState(
            in_use=sum([batcher.in_use for batcher in self._batchers]),
            open=sum([connection.is_open for connection in self._all]),
            limit=len(self._all),
            waiting=sum([batcher.waiting for batcher in self._batchers]),
            waiting_writes=self._writes.waiting,
        )


class ServerConnection:
    """One kept connection, replaced when it is lost or old.

    Args:
        engine: Where connections come from.
        driver_of: Finds the driver of a connection.
        longest_life_seconds: The age at which a connection is replaced.
        policy: What the driver raises over a lost connection, and what that means.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        driver_of: Callable[[Any], ServerDriver],
        longest_life_seconds: float,
        policy: ServerPolicy,
    ) -> None:
        self._engine = engine
        self._driver_of = driver_of
        self._policy = policy
        self._errors: tuple[type[Exception], ...] = (
            *policy.driver_errors,
            OSError,
            SQLAlchemyError,
        )
        self._longest_life_seconds = longest_life_seconds
        self._held: AsyncConnection | None = None
        self._driver: ServerDriver | None = None
        self._born = self._used = 0.0
        self._is_busy = self._is_given_up = False

    async def run_one(self, call: Call) -> Outcome:
        """Run a call, as `BatchingConnection` says."""
        self._is_busy = True
        try:
            driver = await self._connected(may_be_lost=call.statement.repeatable)
            outcome = await self._outcome(driver, call)
        finally:
            await self._rest()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Run calls, as `BatchingConnection` says."""
        self._is_busy = True
        try:
            return await self._run(calls)
        finally:
            await self._rest()

    async def _run(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        may_be_lost = all(call.statement.repeatable for call in calls)
        driver = await self._connected(may_be_lost=may_be_lost)
        outcomes: list[Outcome] = [None] * len(calls)
        for statement, places in _by_statement(calls).items():
            together = await self._together(driver, statement, [calls[at] for at in places])
            for place, outcome in zip(places, together, strict=True):
                outcomes[place] = outcome
        return outcomes

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._driver is not None

    async def close(self) -> None:
        """Close the connection."""
        await self._let_go()

    async def give_up(self) -> None:
        """Close the connection as soon as nothing runs on it."""
        if self._is_busy:
            self._is_given_up = True
        else:
            await self._let_go()

    async def _rest(self) -> None:
        self._is_busy = False
        if self._is_given_up:
            self._is_given_up = False
            await self._let_go()

    async def _together(
        self, driver: ServerDriver, statement: DriverStatement, calls: Sequence[Call]
    ) -> Sequence[Outcome]:
        if len(calls) > 1 and (statement.inserts or statement.key_index is not None):
            values = [call.values for call in calls]
            try:
                with self._answer_timeout(driver):
                    if statement.inserts:
                        await driver.send_together(statement, values)
                        return [1] * len(calls)
                    return await self._find(driver, statement, [key for (key,) in values])
            except Exception as error:  # noqa: BLE001 (it is the outcome)
                if self._is_lost_by(error):
                    return [error] * len(calls)
        # One of them is to blame, which its own run tells.
        return [await self._outcome(driver, call) for call in calls]

    async def _find(
        self, driver: ServerDriver, statement: DriverStatement, keys: Sequence[Any]
    ) -> Sequence[Outcome]:
        """Read the rows of several keys by one statement."""
        place = statement.key_index
        rows = await driver.send(Call(*statement.by_keys(keys)))
        found = {row[place]: [row] for row in rows}
        return [found.get(key, []) for key in keys]

    async def _outcome(self, driver: ServerDriver, call: Call) -> Outcome:
        try:
            with self._answer_timeout(driver):
                outcome = await driver.send(call)
        except Exception as error:  # noqa: BLE001 (it is the outcome)
            self._is_lost_by(error)
            return error
        self._used = time.monotonic()
        return outcome

    def _is_lost_by(self, error: Exception) -> bool:
        """Tell whether an error means that another connection is needed, and see to that."""
        is_lost = self._policy.diagnose(error).fault is Fault.CONNECTION
        if is_lost:
            self._driver = None
            self._policy.openings.note_loss()
        return is_lost

    async def _connected(self, *, may_be_lost: bool) -> ServerDriver:
        """Give the connection.

        Args:
            may_be_lost: Whether what is sent can be sent again, should the connection turn out to
                be lost. Otherwise it is asked for a sign of life first.

        Raises:
            NotWritten: If none can be had.
        """
        driver, now = self._driver, time.monotonic()
        if driver is not None and self._is_fit(driver, now):
            if may_be_lost or now - self._used < IDLE_SECONDS:
                return driver
            with suppress(*self._errors):  # then the connection is replaced
                with self._answer_timeout(driver):
                    await driver.ping()
                return driver
        try:
            return await self._reconnect()
        except self._errors as error:
            raise NotWritten(error) from None

    def _is_fit(self, driver: ServerDriver, now: float) -> bool:
        is_young = now - self._born < self._longest_life_seconds
        return is_young and self._born >= self._policy.fit_since and not driver.is_lost()

    def _answer_timeout(self, driver: ServerDriver) -> AnswerTimeout:
        return AnswerTimeout(driver.connection, self._policy.answer_timeout_seconds)

    async def _let_go(self) -> None:
        held, self._held, self._driver = self._held, None, None
        if held is not None:
            await run_to_completion(held.invalidate())
            await run_to_completion(held.close())

    async def _reconnect(self) -> ServerDriver:
        await self._let_go()
        crowd = self._policy.openings.crowd
        if crowd is not None:
            raise refusal_of(crowd)  # those of the engine are for all calls, so they come first
        held = await self._engine.connect()
        driver = self._driver_of((await held.get_raw_connection()).driver_connection)
        self._held, self._driver = held, driver
        self._born = self._used = time.monotonic()
        return driver


def _by_statement(calls: Sequence[Call]) -> dict[DriverStatement, list[int]]:
    places: dict[DriverStatement, list[int]] = {}
    for place, call in enumerate(calls):
        places.setdefault(call.statement, []).append(place)
    return places
