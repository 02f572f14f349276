"""Right and wrong calls of lists, pages and streams, and repositories written by others.

A type checker has to refuse each line that says so, and no other: an ignored error that is none is
an error itself. The tests of typing run mypy and pyright over this file; nobody runs the file.
"""

from pydantic import AwareDatetime

from synthorg.entities import (
    AgentLifecycleEvent,
    ArtifactType,
    CostRecord,
    LifecycleEventType,
    NotBlankStr,
    Task,
    TaskStatus,
    WorkflowType,
)
from synthorg.persistence import (
    CostRecordRepository,
    Keyed,
    LifecycleEventRepository,
    ManagedBackend,
    Page,
    Pageable,
    Stores,
    TaskRepository,
)


async def right(stores: Stores, moment: AwareDatetime) -> None:
    """Call what there is."""
    await stores.tasks.list_tasks()
    await stores.tasks.list_tasks(status=TaskStatus.FAILED, assigned_to=None, project="website")
    await stores.tasks.page(status=None, project="website", limit=50, after=None)
    await stores.tasks.count_by_status(project="website")
    async for task in stores.tasks.stream(assigned_to="ada"):
        task.title.upper()
    await stores.tasks.get(task_id="task-1")
    await stores.cost_records.query(agent_id="ada", since=moment, until=None)
    await stores.cost_records.totals(["day"], task_id="task-1")
    await stores.lifecycle_events.list_events(event_type=LifecycleEventType.HIRED, limit=3)
    await stores.collaboration_metrics.query(since=moment, until=moment)
    await stores.audit_entries.query(verdict="deny", limit=1)
    await stores.artifacts.page(artifact_type=ArtifactType.CODE)
    await stores.workflow_definitions.list_definitions(
        workflow_type=WorkflowType.SEQUENTIAL_PIPELINE
    )
    await stores.messages.get_history(channel="general", limit=None)
    await stores.messages.page("general", limit=2)
    async for message in stores.messages.stream("general"):
        message.content.upper()
    await stores.users.page(limit=3)


async def wrong(stores: Stores, moment: AwareDatetime) -> None:
    """Call what there is not."""
    await stores.tasks.list_tasks(colour="red")  # type: ignore[call-arg]
    await stores.tasks.list_tasks(status=3)  # type: ignore[arg-type]
    await stores.tasks.list_tasks(TaskStatus.FAILED)  # type: ignore[call-arg]
    await stores.tasks.list_tasks(limit=3)  # type: ignore[call-arg]
    await stores.tasks.page(colour="red")  # type: ignore[call-arg]
    await stores.tasks.page(project=3)  # type: ignore[arg-type]
    await stores.tasks.page(limit="many")  # type: ignore[arg-type]
    stores.tasks.stream(colour="red")  # type: ignore[call-arg]
    stores.tasks.stream(status="failed")  # type: ignore[arg-type]
    stores.tasks.stream(limit=3)  # type: ignore[call-arg]
    await stores.cost_records.aggregate(project="website")  # type: ignore[call-arg]
    await stores.cost_records.totals(["day"], since="monday")  # type: ignore[arg-type]
    await stores.lifecycle_events.list_events(after=moment)  # type: ignore[call-arg]
    await stores.audit_entries.page(verdict="maybe")  # type: ignore[arg-type]
    await stores.messages.page()  # type: ignore[call-arg]
    stores.messages.stream(3)  # type: ignore[arg-type]
    await stores.users.page(role="ceo")  # type: ignore[call-arg]


async def everywhere(backend: ManagedBackend, moment: AwareDatetime) -> None:
    """Call it on a backend, and in a unit of work."""
    await right(backend, moment)
    await backend.projects.list_projects(lead="ada")
    await backend.projects.list_projects(head="ada")  # type: ignore[call-arg]
    async with backend.transaction() as work:
        await right(work, moment)
        await work.projects.list_projects(lead="ada")
        await work.projects.list_projects(head="ada")  # type: ignore[call-arg]


async def first_page(stores: Pageable[Task]) -> Page[Task]:
    """Call whatever can be paged."""
    return await stores.page(limit=1)


class Tasks:
    """A repository that spells its filters out."""

    async def save(self, task: Task) -> None:
        """Save."""

    async def get(self, task_id: NotBlankStr) -> Task | None:
        """Get."""

    async def list_tasks(
        self,
        *,
        status: TaskStatus | None = None,
        assigned_to: NotBlankStr | None = None,
        project: NotBlankStr | None = None,
    ) -> tuple[Task, ...]:
        """List."""
        del status, assigned_to, project
        return ()

    async def delete(self, task_id: NotBlankStr) -> bool:
        """Delete."""
        return bool(task_id)


class Costs(CostRecordRepository):
    """The same, derived from the protocol."""

    async def save(self, record: CostRecord) -> None:
        """Save."""

    async def query(
        self, *, agent_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> tuple[CostRecord, ...]:
        """List."""
        del agent_id, task_id
        return ()

    async def aggregate(
        self, *, agent_id: NotBlankStr | None = None, task_id: NotBlankStr | None = None
    ) -> float:
        """Sum."""
        del agent_id, task_id
        return 0.0


class Events:
    """A repository that lacks a filter."""

    async def save(self, event: AgentLifecycleEvent) -> None:
        """Save."""

    async def list_events(
        self, *, agent_id: NotBlankStr | None = None, limit: int | None = None
    ) -> tuple[AgentLifecycleEvent, ...]:
        """List."""
        del agent_id, limit
        return ()


def others(stores: Stores) -> None:
    """Take each for what it is."""
    tasks: tuple[TaskRepository, Keyed[Task]] = (Tasks(), Tasks())
    costs: CostRecordRepository = Costs()
    events: LifecycleEventRepository = Events()  # type: ignore[assignment]
    pages: Pageable[Task] = stores.tasks
    messages: Pageable[Task] = stores.messages  # type: ignore[assignment]
    del tasks, costs, events, pages, messages
