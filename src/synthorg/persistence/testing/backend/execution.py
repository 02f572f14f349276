"""What is particular to checkpoints, heartbeats and the states of agents."""

from datetime import timedelta

import pytest

from synthorg.entities import AgentRuntimeState
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import AGENT_STATES, CHECKPOINTS, HEARTBEATS, LATER, MOMENT

MICROSECOND = timedelta(microseconds=1)


class Executions:
    """What is particular to checkpoints, heartbeats and the states of agents."""

    async def test_the_latest_checkpoint_is_the_one_of_the_highest_turn(
        self,
        backend: PersistenceBackend,
    ) -> None:
        oldest, middle, latest = (
            CHECKPOINTS.make(id=id_, turn_number=turn, created_at=created_at)
            for id_, turn, created_at in (("c", 9, LATER), ("b", 10, MOMENT), ("a", 11, MOMENT))
        )
        await CHECKPOINTS.store(backend, middle, latest, oldest)
        assert await backend.checkpoints.get_latest(execution_id="execution-1") == latest
        assert await backend.checkpoints.get_latest(task_id="task-1") == latest

    async def test_of_checkpoints_of_one_turn_the_newest_and_then_the_last_id_is_the_latest(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await CHECKPOINTS.store(
            backend,
            *(CHECKPOINTS.make(id=id_, created_at=LATER) for id_ in ("b", "c", "B")),
            CHECKPOINTS.make(id="z", created_at=LATER - MICROSECOND),
        )
        latest = await backend.checkpoints.get_latest(execution_id="execution-1", task_id="task-1")
        assert latest == CHECKPOINTS.make(id="c", created_at=LATER)

    async def test_the_latest_checkpoint_matches_both_filters(
        self, backend: PersistenceBackend
    ) -> None:
        wanted = CHECKPOINTS.make(id="wanted", turn_number=1)
        await CHECKPOINTS.store(
            backend,
            wanted,
            CHECKPOINTS.make(id="x", turn_number=2, task_id="task-2"),
            CHECKPOINTS.make(id="y", turn_number=3, execution_id="execution-2"),
        )
        get_latest = backend.checkpoints.get_latest
        assert await get_latest(execution_id="execution-1", task_id="task-1") == wanted
        assert await get_latest(execution_id="execution-2", task_id="task-2") is None

    async def test_the_latest_checkpoint_of_nothing_in_particular_is_refused(
        self,
        backend: PersistenceBackend,
    ) -> None:
        with pytest.raises(ValueError, match=r"execution_id.*task_id"):
            await backend.checkpoints.get_latest()

    async def test_the_checkpoints_of_an_execution_are_deleted_together_and_counted(
        self,
        backend: PersistenceBackend,
    ) -> None:
        other = CHECKPOINTS.make(id="other", execution_id="Execution-1")
        await CHECKPOINTS.store(backend, *(CHECKPOINTS.make(id=str(n)) for n in range(7)), other)
        assert await backend.checkpoints.delete_by_execution("execution-1") == 7
        assert await backend.checkpoints.delete_by_execution("execution-1") == 0
        assert await backend.checkpoints.get_latest(task_id="task-1") == other

    async def test_a_checkpoint_is_kept_byte_for_byte(self, backend: PersistenceBackend) -> None:
        for text in ('{"a":1,"a":2}', "\n{ }\t", '{"\\u0000": "\\ud800"}', '{"n": [1e999, 0.10]}'):
            await backend.checkpoints.save(CHECKPOINTS.make(context_json=text))
            stored = await backend.checkpoints.get_latest(execution_id="execution-1")
            assert stored is not None
            assert stored.context_json == text

    async def test_a_heartbeat_exactly_at_the_threshold_is_not_stale(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await HEARTBEATS.store(backend, HEARTBEATS.example)
        assert await backend.heartbeats.get_stale(MOMENT) == ()
        assert await backend.heartbeats.get_stale(MOMENT - MICROSECOND) == ()
        assert await backend.heartbeats.get_stale(MOMENT + MICROSECOND) == (HEARTBEATS.example,)

    async def test_a_new_heartbeat_ends_being_stale(self, backend: PersistenceBackend) -> None:
        await HEARTBEATS.store(backend, HEARTBEATS.example)
        await HEARTBEATS.store(backend, HEARTBEATS.make(last_heartbeat_at=LATER))
        assert await backend.heartbeats.get_stale(LATER) == ()

    async def test_an_agent_that_becomes_idle_is_no_longer_active(
        self, backend: PersistenceBackend
    ) -> None:
        agent = AGENT_STATES.example.agent_id
        await AGENT_STATES.store(backend, AGENT_STATES.example)
        assert await backend.agent_states.get_active() == (AGENT_STATES.example,)
        idle = AgentRuntimeState.idle(agent)
        await backend.agent_states.save(idle)
        assert await backend.agent_states.get_active() == ()
        assert await backend.agent_states.get(agent) == idle
        await AGENT_STATES.store(backend, AGENT_STATES.example)
        assert await backend.agent_states.get_active() == (AGENT_STATES.example,)

    async def test_the_most_recent_activity_is_listed_first(
        self, backend: PersistenceBackend
    ) -> None:
        states = [
            AGENT_STATES.make(agent_id=agent, last_activity_at=MOMENT + MICROSECOND * delay)
            for agent, delay in (("a", 2), ("c", 1), ("b", 1), ("d", 0))
        ]
        await AGENT_STATES.store(backend, *reversed(states))
        assert await backend.agent_states.get_active() == tuple(states)
