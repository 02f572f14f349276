"""An executor that notes what it does on the call for which it does it."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from time import perf_counter
from typing import Any

from sqlalchemy import Table

from synthorg.persistence.observing import RouteName
from synthorg.persistence.sql.drivers.observation import Observed, current
from synthorg.persistence.sql.execution.executor import Executor, Result, Rows
from synthorg.persistence.sql.statements.statement import Parameters, Statement


class ObservedExecutor:
    """`Executor` that counts rows, and notes the route where it is one for all statements.

    Args:
        executor: Where the statements run.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._route = executor.route
        self._for_lists: ObservedExecutor | None = None

    @property
    def skips_unreadable(self) -> bool:
        """Whether lists leave out what cannot be read, as `Executor` says."""
        return self._executor.skips_unreadable

    @property
    def for_lists(self) -> Executor:
        """What lists are read on, observed as well, as `Executor` says."""
        inner = self._executor.for_lists
        if inner is self._executor:
            return self
        if self._for_lists is None:
            self._for_lists = ObservedExecutor(inner)
        return self._for_lists

    @property
    def route(self) -> RouteName | None:
        """The way to the database, as `Executor` says."""
        return self._route

    def refuse_to_follow(self, table: Table) -> None:
        """Refuse where the other one does, as `Executor` says."""
        self._executor.refuse_to_follow(table)

    async def find_writers(self, table: Table, *, patiently: bool) -> Collection[str] | None:
        """Find the transactions under way that write a table, as `Executor` says."""
        return await self._executor.find_writers(table, patiently=patiently)

    def fetch(self, statement: Statement, parameters: Parameters) -> Coroutine[Any, Any, Rows]:
        """Run a statement that reads, as `Executor` says."""
        call = current.get()
        if call is None:
            return self._executor.fetch(statement, parameters)
        return self._fetch(call, statement, parameters)

    async def _fetch(self, call: Observed, statement: Statement, parameters: Parameters) -> Rows:
        began = self._begin(call)
        try:
            rows = await self._executor.fetch(statement, parameters)
        finally:
            if began:
                _note_duration(call, statement, began)
        call.rows_read += len(rows)
        return rows

    def execute(self, statement: Statement, parameters: Parameters) -> Coroutine[Any, Any, int]:
        """Run a statement that writes, as `Executor` says."""
        call = current.get()
        if call is None:
            return self._executor.execute(statement, parameters)
        return self._execute(call, statement, parameters)

    async def _execute(self, call: Observed, statement: Statement, parameters: Parameters) -> int:
        began = self._begin(call)
        try:
            row_count = await self._executor.execute(statement, parameters)
        finally:
            if began:
                _note_duration(call, statement, began)
        # Of what inserts or replaces, drivers count nothing, one row or two.
        is_one_row = statement.inserts or statement.replaces
        call.rows_written += 1 if is_one_row else max(row_count, 0)
        return row_count

    def execute_many(
        self, statement: Statement, parameters: Sequence[Parameters]
    ) -> Coroutine[Any, Any, None]:
        """Run a statement that writes many times, as `Executor` says."""
        call = current.get()
        if call is None:
            return self._executor.execute_many(statement, parameters)
        return self._execute_many(call, statement, parameters)

    async def _execute_many(
        self, call: Observed, statement: Statement, parameters: Sequence[Parameters]
    ) -> None:
        began = self._begin(call)
        try:
            await self._executor.execute_many(statement, parameters)
        finally:
            if began:
                _note_duration(call, statement, began)
        call.rows_written += len(parameters)

    async def atomically(
        self,
        work: Callable[[Executor], Awaitable[Result]],
        *,
        repeatable: bool,
        idempotent: bool = False,
    ) -> Result:
        """Do several things together, as `Executor` says."""

        async def observed_work(executor: Executor) -> Result:
            call = current.get()
            if call is not None:  # what an attempt before this one has done is undone
                call.rows_read = call.rows_written = 0
            return await work(ObservedExecutor(executor))

        return await self._executor.atomically(
            observed_work, repeatable=repeatable, idempotent=idempotent
        )

    def _begin(self, call: Observed) -> float:
        """Note the route, and tell the time if a statement is to be timed."""
        if self._route is not None:
            call.route = self._route
        return perf_counter() if call.times_statements else 0.0


def _note_duration(call: Observed, statement: Statement, began: float) -> None:
    seconds = perf_counter() - began
    if seconds > call.statement_seconds:
        call.statement, call.statement_seconds = statement, seconds
