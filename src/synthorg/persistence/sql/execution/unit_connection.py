"""The connection of a unit of work, for an application's own SQL in the same transaction."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import UsageError

Answer = TypeVar("Answer")

Run = Callable[[Callable[[AsyncConnection], Awaitable[Any]]], Awaitable[Any]]
"""Runs a step on the connection in a savepoint of the unit, so that it fails alone."""

OWNED_BY_THE_UNIT: Final = (
    "this connection belongs to a unit of work, which commits, rolls back and closes it; a part "
    "that can fail alone is the unit's transaction()"
)


class UnitConnection(AsyncConnection):
    """A connection whose transaction begins and ends with its unit of work.

    Args:
        held: The connection of the unit.
        run: Runs a step on it.
    """

    def __init__(self, held: AsyncConnection, run: Run) -> None:
        super().__init__(held.engine, held.sync_connection)
        self._held = held
        self._run = run

    async def start(self, is_ctxmanager: bool = False) -> "UnitConnection":  # noqa: ARG002, FBT001, FBT002 (the signature is SQLAlchemy's)
        """Do nothing, since it is started."""
        return self

    async def close(self) -> None:
        """Do nothing, since the unit closes it."""

    async def execute(
        self,
        statement: Executable,
        parameters: Any = None,
        *,
        execution_options: Any = None,
    ) -> CursorResult[Any]:
        """Run a statement in the transaction of the unit, and give its buffered result."""
        result: CursorResult[Any] = await self._run(
            lambda held: held.execute(statement, parameters, execution_options=execution_options)
        )
        return result

    async def exec_driver_sql(
        self,
        statement: str,
        parameters: Any = None,
        execution_options: Any = None,
    ) -> CursorResult[Any]:
        """Run SQL of the driver in the transaction of the unit."""
        result: CursorResult[Any] = await self._run(
            lambda held: held.exec_driver_sql(statement, parameters, execution_options)
        )
        return result

    async def run_sync(self, fn: Callable[..., Answer], *arg: Any, **kw: Any) -> Answer:
        """Run a function of SQLAlchemy's synchronous connection in the transaction of the unit."""
        answer: Answer = await self._run(lambda held: held.run_sync(fn, *arg, **kw))
        return answer

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise UsageError(OWNED_BY_THE_UNIT)

    async def _refuse_to_wait(self, *_: object, **__: object) -> NoReturn:
        raise UsageError(OWNED_BY_THE_UNIT)

    begin = begin_nested = stream = stream_scalars = _refuse
    commit = rollback = invalidate = execution_options = _refuse_to_wait
