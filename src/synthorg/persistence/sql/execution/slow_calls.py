"""An observer that logs calls which took long, and how the database carries them out."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any, Final

from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.observing import ObservedCall
from synthorg.persistence.sql.drivers.observation import Observed
from synthorg.persistence.sql.statements.statement import Statement

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_PLANS: Final = 60.0
"""A database that is slow already is not asked for more than one plan in this time."""

Plan = Callable[[Statement], Awaitable[Sequence[str]]]
"""Asks how a statement is carried out."""


class SlowCalls:
    """`Observer` that logs each call of a repository that took long.

    Args:
        seconds: From how long on.
        plan: Asks for a plan; None where none is wanted.
    """

    def __init__(self, seconds: float, plan: Plan | None) -> None:
        self._seconds = seconds
        self._plan = plan
        self._next_plan = 0.0
        self._questions: set[asyncio.Task[None]] = set()

    def call_started(self, call: ObservedCall, /) -> bool:
        """Want calls alone, and their statements where one may be explained."""
        assert isinstance(call, Observed)
        call.times_statements = self._plan is not None
        return call.what == "call"

    def call_ended(self, call: ObservedCall, /) -> None:
        """Log a call, if it was slow."""
        if call.seconds < self._seconds:
            return
        log_event(logger, LogEvent.CALL_SLOW, **_facts(call))
        assert isinstance(call, Observed)
        if self._plan is not None and isinstance(call.statement, Statement):
            self._ask(self._plan, call.statement, call)

    def _ask(self, plan: Plan, statement: Statement, call: ObservedCall) -> None:
        if time.monotonic() < self._next_plan:
            return
        self._next_plan = time.monotonic() + SECONDS_BETWEEN_PLANS
        # It knows of no transaction that this task has open, and waits for its end.
        question = asyncio.get_running_loop().create_task(
            _tell_plan(plan, statement, call), context=Context()
        )
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)


async def _tell_plan(plan: Plan, statement: Statement, call: ObservedCall) -> None:
    names = {name: _facts(call)[name] for name in ("repository", "operation", "table", "database")}
    try:
        lines = await plan(statement)
    except Exception as error:  # noqa: BLE001 (a plan is worth no failure)
        log_event(logger, LogEvent.CALL_UNEXPLAINED, **names, error=type(error).__name__)
        return
    if not lines:
        return  # such as SQLite has none of an INSERT
    log_event(logger, LogEvent.CALL_EXPLAINED, **names, plan="\n".join(lines))


def _facts(call: ObservedCall) -> dict[str, Any]:
    return {
        "repository": call.repository,
        "operation": call.operation,
        "table": call.collection,
        "milliseconds": round(call.seconds * 1000),
        "waited_milliseconds": round((call.waited_seconds + call.lock_waited_seconds) * 1000),
        "rows": call.rows_read + call.rows_written,
        "route": call.route,
        "database": call.database.system,
        "attempts": call.attempts,
        "error": call.error_type,
    }
