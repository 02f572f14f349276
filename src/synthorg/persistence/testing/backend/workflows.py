"""What is particular to workflows: optimistic versions, and definitions in use."""

import pytest

from synthorg.entities import WorkflowExecutionStatus
from synthorg.persistence import (
    DuplicateRecordError,
    PersistenceBackend,
    QueryError,
    VersionConflictError,
)
from synthorg.persistence.testing.concurrency import outcomes
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import DEFINITIONS, EXECUTIONS, LATER, kinds

RACERS = 12

versioned = kinds(lambda kind: kind.versioned)


def version(kind: Kind, number: int) -> object:
    """Make a version of the example whose text tells it from the others."""
    name = "name" if kind is DEFINITIONS else "project"
    return kind.make(version=number, **{name: f"version {number}"})


class Workflows:
    """What is particular to workflows: optimistic versions, and definitions in use."""

    @versioned
    async def test_versions_are_saved_one_after_the_other(
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        for number in range(1, 8):
            await kind.store(backend, version(kind, number))
            assert await kind.stored(backend, kind.example) == version(kind, number)

    @versioned
    @pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 2**63 - 1])
    async def test_a_version_that_is_not_the_next_one_is_refused(
        self, backend: PersistenceBackend, kind: Kind, number: int
    ) -> None:
        await kind.store(backend, *(version(kind, stored) for stored in (1, 2, 3)))
        first_again = kind is EXECUTIONS and number == 1
        expected = DuplicateRecordError if first_again else VersionConflictError
        with pytest.raises(expected, match=rf"{kind.repository} \(id='{kind.example.id}'\)"):
            await kind.save(backend, version(kind, number))
        assert await kind.stored(backend, kind.example) == version(kind, 3)
        await kind.save(backend, version(kind, 4))

    @versioned
    @pytest.mark.parametrize("number", [2, 3])
    async def test_a_later_version_of_nothing_is_refused(
        self, backend: PersistenceBackend, kind: Kind, number: int
    ) -> None:
        with pytest.raises(VersionConflictError):
            await kind.store(backend, version(kind, number))
        assert await kind.stored(backend, kind.example) is None

    @versioned
    async def test_after_a_deletion_the_versions_begin_again(
        self, backend: PersistenceBackend, kind: Kind
    ) -> None:
        assert kind.delete is not None
        await kind.store(backend, version(kind, 1), version(kind, 2))
        assert await kind.delete(backend, kind.example)
        with pytest.raises(VersionConflictError):
            await kind.save(backend, version(kind, 3))
        await kind.save(backend, version(kind, 1))

    @versioned
    @pytest.mark.parametrize("number", [1, 2])
    async def test_of_many_that_save_the_same_next_version_exactly_one_succeeds(
        self, backend: PersistenceBackend, kind: Kind, number: int
    ) -> None:
        others = kind.keyed("other")
        await kind.store(backend, others, *(version(kind, stored) for stored in range(1, number)))
        creators = [f"racer {racer}" for racer in range(RACERS)]
        field = "description" if kind is DEFINITIONS else "activated_by"
        racers = [kind.altered(version(kind, number), **{field: creator}) for creator in creators]
        results = await outcomes(kind.save(backend, racer) for racer in racers)
        winners = [racer for racer, error in zip(racers, results, strict=True) if error is None]
        assert [await kind.stored(backend, kind.example)] == winners
        losses = {type(error) for error in results if error is not None}
        first = kind is EXECUTIONS and number == 1
        assert losses == {DuplicateRecordError if first else VersionConflictError}
        assert await kind.stored(backend, others) == others

    async def test_who_made_a_definition_and_when_never_changes(
        self, backend: PersistenceBackend
    ) -> None:
        await DEFINITIONS.store(backend, DEFINITIONS.example)
        for number in (2, 3):
            changed = DEFINITIONS.make(version=number, created_by="impostor", created_at=LATER)
            await backend.workflow_definitions.save(changed)
            stored = await backend.workflow_definitions.get(changed.id)
            assert stored == DEFINITIONS.make(version=number)

    async def test_an_execution_of_an_unknown_definition_is_refused(
        self,
        backend: PersistenceBackend,
    ) -> None:
        with pytest.raises(QueryError, match=r"workflow_executions.*record that does not exist"):
            await backend.workflow_executions.save(EXECUTIONS.example)
        assert await backend.workflow_executions.get(EXECUTIONS.example.id) is None
        await EXECUTIONS.store(backend, EXECUTIONS.example)
        with pytest.raises(QueryError, match=r"workflow_executions.*record that does not exist"):
            await backend.workflow_executions.save(
                EXECUTIONS.make(version=2, definition_id="unknown")
            )
        assert await EXECUTIONS.stored(backend, EXECUTIONS.example) == EXECUTIONS.example

    async def test_a_definition_with_executions_cannot_be_deleted(
        self, backend: PersistenceBackend
    ) -> None:
        await EXECUTIONS.store(backend, EXECUTIONS.example)
        definition_id = EXECUTIONS.example.definition_id
        with pytest.raises(
            QueryError, match=rf"delete workflow_definitions \(id='{definition_id}'\)"
        ):
            await backend.workflow_definitions.delete(definition_id)
        assert await backend.workflow_definitions.get(definition_id) is not None
        assert await EXECUTIONS.stored(backend, EXECUTIONS.example) == EXECUTIONS.example
        assert await backend.workflow_executions.delete(EXECUTIONS.example.id)
        assert await backend.workflow_definitions.delete(definition_id)

    async def test_a_definition_may_go_on_while_it_has_executions(
        self, backend: PersistenceBackend
    ) -> None:
        await EXECUTIONS.store(backend, EXECUTIONS.example)
        following = DEFINITIONS.make(version=2, name="Renamed")
        await backend.workflow_definitions.save(following)
        assert await backend.workflow_definitions.get(following.id) == following

    @pytest.mark.parametrize("status", WorkflowExecutionStatus)
    async def test_an_execution_in_any_status_is_listed_by_that_status_alone(
        self, backend: PersistenceBackend, status: WorkflowExecutionStatus
    ) -> None:
        ended = status not in {WorkflowExecutionStatus.PENDING, WorkflowExecutionStatus.RUNNING}
        execution = EXECUTIONS.make(
            status=status,
            completed_at=LATER if ended else None,
            error="It did not build." if status is WorkflowExecutionStatus.FAILED else None,
        )
        await EXECUTIONS.store(backend, execution)
        for other in WorkflowExecutionStatus:
            listed = await backend.workflow_executions.list_by_status(other)
            assert listed == ((execution,) if other is status else ())
