import inspect
import re
from collections.abc import Callable
from typing import Any, cast, get_type_hints

import pytest

from synthorg.entities import NotBlankStr, ProjectStatus
from synthorg.persistence import artifact_storage, protocol, repositories
from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.signatures import filters_of
from synthorg.persistence.sql.execution.executor import Executor
from synthorg.persistence.sql.repositories import Repositories
from synthorg.persistence.stores import ProjectStore
from synthorg.persistence.transactions import Stores

# Parameters with their defaults and the type of the result; applications call by these names.
CONTRACT = {
    "TaskRepository": {
        "save(task)": "None",
        "get(task_id)": "Task | None",
        "list_tasks(*, status=None, assigned_to=None, project=None)": "tuple[Task, ...]",
        "delete(task_id)": "bool",
    },
    "CostRecordRepository": {
        "save(record)": "None",
        "query(*, agent_id=None, task_id=None)": "tuple[CostRecord, ...]",
        "aggregate(*, agent_id=None, task_id=None)": "float",
    },
    "MessageRepository": {
        "save(message)": "None",
        "get_history(channel, *, limit=None)": "tuple[Message, ...]",
    },
    "LifecycleEventRepository": {
        "save(event)": "None",
        "list_events(*, agent_id=None, event_type=None, since=None, limit=None)": (
            "tuple[AgentLifecycleEvent, ...]"
        ),
    },
    "TaskMetricRepository": {
        "save(record)": "None",
        "query(*, agent_id=None, since=None, until=None)": "tuple[TaskMetricRecord, ...]",
    },
    "CollaborationMetricRepository": {
        "save(record)": "None",
        "query(*, agent_id=None, since=None)": "tuple[CollaborationMetricRecord, ...]",
    },
    "ParkedContextRepository": {
        "save(context)": "None",
        "get(parked_id)": "ParkedContext | None",
        "get_by_approval(approval_id)": "ParkedContext | None",
        "get_by_agent(agent_id)": "tuple[ParkedContext, ...]",
        "delete(parked_id)": "bool",
    },
    "AuditRepository": {
        "save(entry)": "None",
        "query(*, agent_id=None, action_type=None, verdict=None, risk_level=None, since=None, "
        "until=None, limit=100)": "tuple[AuditEntry, ...]",
    },
    "UserRepository": {
        "save(user)": "None",
        "get(user_id)": "User | None",
        "get_by_username(username)": "User | None",
        "list_users()": "tuple[User, ...]",
        "count()": "int",
        "count_by_role(role)": "int",
        "delete(user_id)": "bool",
    },
    "ApiKeyRepository": {
        "save(key)": "None",
        "get(key_id)": "ApiKey | None",
        "get_by_hash(key_hash)": "ApiKey | None",
        "list_by_user(user_id)": "tuple[ApiKey, ...]",
        "delete(key_id)": "bool",
    },
    "CheckpointRepository": {
        "save(checkpoint)": "None",
        "get_latest(*, execution_id=None, task_id=None)": "Checkpoint | None",
        "delete_by_execution(execution_id)": "int",
    },
    "HeartbeatRepository": {
        "save(heartbeat)": "None",
        "get(execution_id)": "Heartbeat | None",
        "get_stale(threshold)": "tuple[Heartbeat, ...]",
        "delete(execution_id)": "bool",
    },
    "AgentStateRepository": {
        "save(state)": "None",
        "get(agent_id)": "AgentRuntimeState | None",
        "get_active()": "tuple[AgentRuntimeState, ...]",
        "delete(agent_id)": "bool",
    },
    "SettingsRepository": {
        "get(namespace, key)": "tuple[str, str] | None",
        "get_namespace(namespace)": "tuple[tuple[str, str, str], ...]",
        "get_all()": "tuple[tuple[str, str, str, str], ...]",
        "set(namespace, key, value, updated_at, *, expected_updated_at=None)": "bool",
        "delete(namespace, key)": "bool",
        "delete_namespace(namespace)": "int",
    },
    "ArtifactRepository": {
        "save(artifact)": "None",
        "get(artifact_id)": "Artifact | None",
        "list_artifacts(*, task_id=None, created_by=None, artifact_type=None)": (
            "tuple[Artifact, ...]"
        ),
        "delete(artifact_id)": "bool",
    },
    "ProjectRepository": {
        "save(project)": "None",
        "get(project_id)": "Project | None",
        "list_projects(*, status=None, lead=None)": "tuple[Project, ...]",
        "delete(project_id)": "bool",
    },
    "PersonalityPresetRepository": {
        "save(name, config_json, description, created_at, updated_at)": "None",
        "get(name)": "PresetRow | None",
        "list_all()": "tuple[PresetListRow, ...]",
        "delete(name)": "bool",
        "count()": "int",
    },
    "WorkflowDefinitionRepository": {
        "save(definition)": "None",
        "get(definition_id)": "WorkflowDefinition | None",
        "list_definitions(*, workflow_type=None)": "tuple[WorkflowDefinition, ...]",
        "delete(definition_id)": "bool",
    },
    "WorkflowExecutionRepository": {
        "save(execution)": "None",
        "get(execution_id)": "WorkflowExecution | None",
        "list_by_definition(definition_id)": "tuple[WorkflowExecution, ...]",
        "list_by_status(status)": "tuple[WorkflowExecution, ...]",
        "delete(execution_id)": "bool",
    },
    "PersistenceBackend": {
        "connect()": "None",
        "disconnect()": "None",
        "health_check()": "bool",
        "migrate()": "None",
        "get_db()": "AsyncEngine",
        "get_setting(key)": "str | None",
        "set_setting(key, value)": "None",
    },
    "ReportingBackend": {
        "health(*, timeout=5.0)": "Health",
    },
    "ArtifactStorageBackend": {
        "store(artifact_id, content)": "int",
        "retrieve(artifact_id)": "bytes",
        "delete(artifact_id)": "bool",
        "exists(artifact_id)": "bool",
        "total_size()": "int",
    },
}

REPOSITORIES = {
    "tasks": "TaskRepository",
    "cost_records": "CostRecordRepository",
    "messages": "MessageRepository",
    "lifecycle_events": "LifecycleEventRepository",
    "task_metrics": "TaskMetricRepository",
    "collaboration_metrics": "CollaborationMetricRepository",
    "parked_contexts": "ParkedContextRepository",
    "audit_entries": "AuditRepository",
    "users": "UserRepository",
    "api_keys": "ApiKeyRepository",
    "checkpoints": "CheckpointRepository",
    "heartbeats": "HeartbeatRepository",
    "agent_states": "AgentStateRepository",
    "settings": "SettingsRepository",
    "artifacts": "ArtifactRepository",
    "projects": "ProjectRepository",
    "custom_presets": "PersonalityPresetRepository",
    "workflow_definitions": "WorkflowDefinitionRepository",
    "workflow_executions": "WorkflowExecutionRepository",
}


def protocol_named(name: str) -> type:
    """Find a protocol in the module that defines it."""
    for module in (repositories, protocol, artifact_storage):
        if name in vars(module):
            found = vars(module)[name]
            assert isinstance(found, type)
            return found
    raise AssertionError(name)


def public_members(cls: type) -> dict[str, Any]:
    """List what a protocol itself declares."""
    return {name: member for name, member in vars(cls).items() if not name.startswith("_")}


def as_in_the_contract(name: str, method: Callable[..., object]) -> tuple[str, str]:
    """Write a method the way CONTRACT does."""
    signature = inspect.signature(method)
    _, *parameters = signature.parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    result = inspect.formatannotation(signature.return_annotation)
    return f"{name}{inspect.Signature(bare)}", re.sub(r"(\w+\.)+(?=\w)", "", result)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_protocol_has_exactly_the_methods_of_the_contract(name: str) -> None:
    methods = {
        member_name: member
        for member_name, member in public_members(protocol_named(name)).items()
        if inspect.isfunction(member)
    }
    assert dict(as_in_the_contract(*method) for method in methods.items()) == CONTRACT[name]


class Offline(Repositories):
    """The repositories, on nothing that could run their statements."""

    def executor_for(self, repository: str) -> Executor:
        """Give what must not be asked for anything."""
        return cast("Executor", repository)


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_repository_offers_the_methods_of_its_store_and_no_others(name: str) -> None:
    store = get_type_hints(public_members(Stores)[name].fget)["return"]
    repository = getattr(Offline(), name)
    offered = methods_of(type(repository))
    # The bases offer more, for repositories of an application.
    assert offered - {"find", "insert", "swap"} == methods_of(store)
    assert isinstance(repository, store)
    only_declared = {
        method for method in offered if is_protocol(owner_of(type(repository), method))
    }
    assert not only_declared


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_method_of_a_repository_shows_its_contract_at_run_time(name: str) -> None:
    store = get_type_hints(public_members(Stores)[name].fget)["return"]
    repository = getattr(Offline(), name)
    for method in methods_of(store):
        offered, declared = getattr(repository, method), getattr(store, method)
        described, contract = inspect.getdoc(offered), inspect.getdoc(declared)
        assert described is not None
        assert contract is not None
        filters = filters_of(declared)
        told = [contract] if filters is None else [contract, inspect.getdoc(filters)]
        assert described == "\n\n".join(text for text in told if text), method
        if filters is not None or method in ("page", "stream"):
            shown = inspect.signature(offered).parameters
            _, *expected = inspect.signature(declared).parameters.values()
            assert [*shown.values()] == expected, method


@pytest.mark.parametrize(
    ("method", "others"),
    [("list_projects", {}), ("page", {"limit": int, "after": str | None}), ("stream", {})],
)
def test_help_shows_each_filter_by_name_with_its_type(method: str, others: dict[str, Any]) -> None:
    filters = {"status": ProjectStatus | None, "lead": str | None}
    for owner in (Offline().projects, ProjectStore):
        shown = inspect.signature(getattr(owner, method)).parameters.values()
        types = {each.name: each.annotation for each in shown if each.name != "self"}
        assert types == {**filters, **others}
        assert all(each.default is None for each in shown if each.name in filters)


def methods_of(cls: type) -> set[str]:
    """Name the public methods of a class, with those that it inherits."""
    methods = inspect.getmembers(cls, inspect.isfunction)
    return {name for name, _ in methods if not name.startswith("_")}


def owner_of(cls: type, method: str) -> type:
    """Find the class from which a method of a class comes."""
    return next(base for base in cls.__mro__ if method in vars(base))


def is_protocol(cls: type) -> bool:
    """Tell whether a class is a protocol, and not one that implements it."""
    return bool(getattr(cls, "_is_protocol", False))


@pytest.mark.parametrize("name", CONTRACT)
def test_everything_in_a_protocol_is_documented_and_coroutines_are_marked(name: str) -> None:
    cls = protocol_named(name)
    assert cls.__doc__
    for member_name, member in public_members(cls).items():
        described = inspect.getdoc(
            member if isinstance(member, property) else getattr(cls, member_name)
        )
        assert described, member_name
        if inspect.isfunction(member) and member_name != "get_db":
            assert inspect.iscoroutinefunction(member), member_name


@pytest.mark.parametrize("name", [*REPOSITORIES.values(), "ArtifactStorageBackend"])
def test_whatever_has_the_methods_is_an_instance_of_the_protocol(name: str) -> None:
    cls = protocol_named(name)
    impostor = type("Impostor", (), public_members(cls))
    assert isinstance(impostor(), cls)
    assert not isinstance(object(), cls)


def test_a_backend_has_the_nineteen_repositories_and_says_what_it_is() -> None:
    properties = {
        name: inspect.signature(member.fget).return_annotation
        for name, member in public_members(PersistenceBackend).items()
        if isinstance(member, property) and member.fget is not None
    }
    assert properties == {
        "is_connected": bool,
        "backend_name": NotBlankStr,
        **{name: protocol_named(of) for name, of in REPOSITORIES.items()},
    }


def test_a_backend_that_is_not_connected_is_recognised_without_being_asked_for_a_repository() -> (
    None
):
    def refuse(backend: object) -> None:
        raise PersistenceConnectionError("not connected")

    members = {
        name: property(refuse) if isinstance(member, property) else member
        for name, member in public_members(PersistenceBackend).items()
    }
    assert isinstance(type("Disconnected", (), members)(), PersistenceBackend)
