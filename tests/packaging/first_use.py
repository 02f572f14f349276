"""The first minute with the library, run outside of the checkout: migrate, save, get."""

import asyncio
from datetime import UTC, datetime

import synthorg.persistence
from synthorg.entities import Heartbeat
from synthorg.persistence import PersistenceConfig, create_backend

HEARTBEAT = Heartbeat(
    execution_id="execution-1",
    agent_id="agent-1",
    task_id="task-1",
    last_heartbeat_at=datetime(2024, 3, 1, 12, 30, tzinfo=UTC),
)


async def main() -> None:
    """Use the default database, in the working directory."""
    backend = create_backend(PersistenceConfig())
    await backend.connect()
    try:
        await backend.migrate()
        await backend.heartbeats.save(HEARTBEAT)
        assert await backend.heartbeats.get("execution-1") == HEARTBEAT
    finally:
        await backend.disconnect()


asyncio.run(main())
print(synthorg.persistence.__file__)  # noqa: T201 (the test reads it)
