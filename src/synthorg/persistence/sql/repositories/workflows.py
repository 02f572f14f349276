"""Workflow definitions and their executions."""

from typing_extensions import Unpack

from synthorg.entities import (
    NotBlankStr,
    WorkflowDefinition,
    WorkflowExecution,
    WorkflowExecutionStatus,
)
from synthorg.persistence.errors import DuplicateRecordError, VersionConflictError
from synthorg.persistence.repositories import DefinitionFilters, ExecutionFilters
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import VersionedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.stores import WorkflowDefinitionStore, WorkflowExecutionStore


class SQLWorkflowDefinitionRepository(
    VersionedRepository[WorkflowDefinition], WorkflowDefinitionStore
):
    """`WorkflowDefinitionRepository` on SQL."""

    table = tables.workflow_definitions
    record = WorkflowDefinition
    kept = frozenset({"created_by", "created_at"})

    listing = ListQuery(
        table, record, order_by=("updated_at", "id"), descending=True, filters=DefinitionFilters
    )

    async def save(self, definition: WorkflowDefinition) -> None:
        try:
            await self._save_version(definition)
        except DuplicateRecordError as error:
            raise VersionConflictError(f"{error}; version 1 is saved only as the first") from error

    async def get(self, definition_id: NotBlankStr) -> WorkflowDefinition | None:
        return await self._get(definition_id)

    async def list_definitions(
        self, **filters: Unpack[DefinitionFilters]
    ) -> tuple[WorkflowDefinition, ...]:
        return await self._list(self.listing, filters)

    async def delete(self, definition_id: NotBlankStr) -> bool:
        return await self._delete(definition_id)


class SQLWorkflowExecutionRepository(
    VersionedRepository[WorkflowExecution], WorkflowExecutionStore
):
    """`WorkflowExecutionRepository` on SQL."""

    table = tables.workflow_executions
    record = WorkflowExecution

    listing = ListQuery(
        table, record, order_by=("updated_at", "id"), descending=True, filters=ExecutionFilters
    )
    _by_definition = ListQuery(
        table, record, order_by=("updated_at", "id"), descending=True, required=("definition_id",)
    )
    _by_status = ListQuery(
        table, record, order_by=("updated_at", "id"), descending=True, required=("status",)
    )

    async def save(self, execution: WorkflowExecution) -> None:
        await self._save_version(execution)

    async def get(self, execution_id: NotBlankStr) -> WorkflowExecution | None:
        return await self._get(execution_id)

    async def list_by_definition(self, definition_id: NotBlankStr) -> tuple[WorkflowExecution, ...]:
        return await self._list(self._by_definition, {"definition_id": definition_id})

    async def list_by_status(
        self, status: WorkflowExecutionStatus
    ) -> tuple[WorkflowExecution, ...]:
        return await self._list(self._by_status, {"status": status})

    async def delete(self, execution_id: NotBlankStr) -> bool:
        return await self._delete(execution_id)
