"""Checkpoints, heartbeats and what each agent is doing."""

from pydantic import AwareDatetime
from typing_extensions import Unpack

from synthorg.entities import AgentRuntimeState, Checkpoint, Heartbeat, NotBlankStr
from synthorg.persistence.repositories import CheckpointFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository, ListedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.statements.statement import bind, deletion
from synthorg.persistence.stores import AgentStateStore, CheckpointStore, HeartbeatStore


class SQLCheckpointRepository(ListedRepository[Checkpoint], CheckpointStore):
    """`CheckpointRepository` on SQL."""

    table = tables.checkpoints
    record = Checkpoint

    _checkpoints = ListQuery(
        table,
        record,
        order_by=("turn_number", "created_at", "id"),
        descending=True,
        filters=CheckpointFilters,
    )
    listing = ListQuery(table, record, order_by=("id",))
    _deletion_by_execution = deletion(table, ["execution_id"])

    async def save(self, checkpoint: Checkpoint) -> None:
        await self._save(checkpoint)

    async def get_latest(self, **filters: Unpack[CheckpointFilters]) -> Checkpoint | None:
        if all(value is None for value in filters.values()):
            raise ValueError("get_latest needs an execution_id or a task_id")
        return await self._first_of(self._checkpoints, filters)

    async def list_checkpoints(self) -> tuple[Checkpoint, ...]:
        return await self._list(self.listing)

    async def delete_by_execution(self, execution_id: NotBlankStr) -> int:
        return await self._executor.execute(
            self._deletion_by_execution, {"execution_id": execution_id}
        )


class SQLHeartbeatRepository(KeyedRepository[Heartbeat], HeartbeatStore):
    """`HeartbeatRepository` on SQL."""

    table = tables.heartbeats
    record = Heartbeat

    _is_stale = table.c.last_heartbeat_at < bind(table, "last_heartbeat_at", "threshold")
    _stale = ListQuery(
        table, record, order_by=("last_heartbeat_at", "execution_id"), where=[_is_stale]
    )
    listing = ListQuery(
        table,
        record,
        order_by=("last_heartbeat_at", "execution_id"),
        filters={"threshold": AwareDatetime | None},
        by_place=("threshold",),
        conditions={"threshold": _is_stale},
    )

    async def save(self, heartbeat: Heartbeat) -> None:
        await self._save(heartbeat)

    async def get(self, execution_id: NotBlankStr) -> Heartbeat | None:
        return await self._get(execution_id)

    async def get_stale(self, threshold: AwareDatetime) -> tuple[Heartbeat, ...]:
        return await self._list(self._stale, {"threshold": threshold})

    async def list_heartbeats(self) -> tuple[Heartbeat, ...]:
        return await self._list(self.listing)

    async def delete(self, execution_id: NotBlankStr) -> bool:
        return await self._delete(execution_id)


class SQLAgentStateRepository(KeyedRepository[AgentRuntimeState], AgentStateStore):
    """`AgentStateRepository` on SQL."""

    table = tables.agent_states
    record = AgentRuntimeState

    # The time of the last activity where the agent is active, so that idle ones are not visited.
    listing = ListQuery(
        table,
        record,
        order_by=("active_at", "agent_id"),
        descending=True,
        where=[table.c.active_at.is_not(None)],
    )

    async def save(self, state: AgentRuntimeState) -> None:
        await self._save(state)

    async def get(self, agent_id: NotBlankStr) -> AgentRuntimeState | None:
        return await self._get(agent_id)

    async def get_active(self) -> tuple[AgentRuntimeState, ...]:
        return await self._list(self.listing)

    async def delete(self, agent_id: NotBlankStr) -> bool:
        return await self._delete(agent_id)
