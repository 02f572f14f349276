"""Connecting, disconnecting, and what does not work in between."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from synthorg.persistence import (
    PersistenceBackend,
    ReportingBackend,
    UsageError,
)
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.testing.needs import needs


class Lifecycle:
    """Connecting, disconnecting, and what does not work in between."""

    async def test_a_healthy_backend_says_so(self, backend: PersistenceBackend) -> None:
        assert backend.is_connected
        assert await backend.health_check() is True
        assert await asyncio.gather(*(backend.health_check() for _ in range(5))) == [True] * 5

    @needs(ReportingBackend)
    async def test_a_healthy_backend_reports_that_it_is_ready(
        self, backend: ReportingBackend
    ) -> None:
        await backend.tasks.save(TASKS.example)
        health = await backend.health()
        assert health.reachable
        assert health.is_ready
        assert health.backend_name == backend.backend_name
        assert health.latency_seconds is not None
        several = await asyncio.gather(*(backend.health(timeout=60) for _ in range(5)))
        assert all(each.is_ready for each in several)

    async def test_settings_of_the_system_have_a_namespace_of_their_own(
        self,
        backend: PersistenceBackend,
    ) -> None:
        assert await backend.get_setting("limit") is None
        before = datetime.now(UTC)
        await backend.set_setting("limit", "1")
        await backend.set_setting("limit", " 2 ")
        await backend.settings.set("budget", "limit", "3", "now")
        assert await backend.get_setting("limit") == " 2 "
        stored = await backend.settings.get("_system", "limit")
        assert stored is not None
        assert (
            before <= datetime.fromisoformat(stored[1]) <= datetime.now(UTC) + timedelta(seconds=1)
        )

    async def test_use_from_another_event_loop_is_refused(
        self, backend: PersistenceBackend
    ) -> None:
        async def use() -> None:
            await backend.tasks.save(TASKS.example)

        def in_another_loop(step: Callable[[], Any]) -> Any:
            return asyncio.run(step())

        with pytest.raises(UsageError, match="another event loop"):
            await asyncio.to_thread(in_another_loop, use)
        assert await asyncio.to_thread(in_another_loop, backend.health_check) is False
        assert await backend.tasks.list_tasks() == ()
        await use()
