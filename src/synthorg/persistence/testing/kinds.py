"""The nineteen kinds of records: an example of each, how to save it and how to read it back."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import strategies as st

from synthorg.entities import (
    AcceptanceCriterion,
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    ApprovalRiskLevel,
    Artifact,
    ArtifactType,
    Attachment,
    AttachmentType,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    Complexity,
    CoordinationTopology,
    CostRecord,
    EvaluationConfidence,
    ExecutionStatus,
    ExpectedArtifact,
    Heartbeat,
    HumanRole,
    LifecycleEventType,
    LLMCallCategory,
    Message,
    MessageMetadata,
    MessagePriority,
    MessageType,
    ParkedContext,
    PresetListRow,
    Priority,
    Project,
    ProjectStatus,
    Task,
    TaskMetricRecord,
    TaskStatus,
    TaskStructure,
    TaskType,
    ToolCategory,
    User,
    WorkflowDefinition,
    WorkflowEdge,
    WorkflowEdgeType,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowNode,
    WorkflowNodeExecution,
    WorkflowNodeExecutionStatus,
    WorkflowNodeType,
    WorkflowType,
)
from synthorg.persistence.stores import SettingRow
from synthorg.persistence.testing import strategies
from synthorg.persistence.testing.kind import Backend, Kind

MOMENT: Final = datetime(2024, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
LATER: Final = MOMENT + timedelta(hours=5, microseconds=1)

_TEXTS: Final = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


async def _save_setting(backend: Backend, row: SettingRow) -> None:
    assert await backend.settings.set(*row)


async def _get_setting(backend: Backend, row: SettingRow) -> SettingRow | None:
    found = await backend.settings.get(row.namespace, row.key)
    return None if found is None else SettingRow(row.namespace, row.key, *found)


async def _settings_of_namespace(backend: Backend, row: SettingRow) -> Sequence[SettingRow]:
    listed = await backend.settings.get_namespace(row.namespace)
    return [SettingRow(row.namespace, *setting) for setting in listed]


async def _all_settings(backend: Backend, _: SettingRow) -> Sequence[SettingRow]:
    return [SettingRow(*setting) for setting in await backend.settings.get_all()]


async def _get_preset(backend: Backend, row: PresetListRow) -> PresetListRow | None:
    found = await backend.custom_presets.get(row.name)
    return None if found is None else PresetListRow(row.name, *found)


async def _save_owner(backend: Backend, key: ApiKey) -> None:
    if await backend.users.get(key.user_id) is None:
        await backend.users.save(USERS.make(id=key.user_id, username=key.user_id))


async def _save_definition(backend: Backend, execution: WorkflowExecution) -> None:
    if await backend.workflow_definitions.get(execution.definition_id) is None:
        await backend.workflow_definitions.save(DEFINITIONS.make(id=execution.definition_id))


TASKS: Final = Kind(
    repository="tasks",
    example=Task(
        id="task-1",
        title="Fix the login",
        description="Users cannot log in.",
        project="website",
        created_by="agent-1",
        type=TaskType.DEVELOPMENT,
        priority=Priority.HIGH,
        assigned_to="agent-2",
        reviewers=("agent-3", "agent-1"),
        dependencies=("task-0",),
        delegation_chain=("agent-5", "agent-4"),
        artifacts_expected=(ExpectedArtifact(type=ArtifactType.CODE, path="login.py"),),
        acceptance_criteria=(AcceptanceCriterion(description="Users can log in.", met=True),),
        estimated_complexity=Complexity.COMPLEX,
        budget_limit=12.5,
        deadline="2024-04-01",
        max_retries=3,
        status=TaskStatus.BLOCKED,
        parent_task_id="task-9",
        task_structure=TaskStructure.MIXED,
        coordination_topology=CoordinationTopology.SAS,
    ),
    changes={
        "title": "Fix the logout",
        "description": "Users cannot log out.",
        "project": "shop",
        "created_by": "agent-6",
        "type": TaskType.REVIEW,
        "priority": Priority.LOW,
        "assigned_to": None,
        "reviewers": (),
        "dependencies": ("task-2", "task-3"),
        "delegation_chain": ("agent-7",),
        "artifacts_expected": (),
        "acceptance_criteria": (AcceptanceCriterion(description="Users can log out."),),
        "estimated_complexity": Complexity.SIMPLE,
        "budget_limit": 0.1,
        "deadline": "2024-04-02T10:00:00+02:00",
        "max_retries": 0,
        "status": TaskStatus.FAILED,
        "parent_task_id": None,
        "task_structure": None,
        "coordination_topology": CoordinationTopology.CENTRALIZED,
    },
    gets=(lambda backend, task: backend.tasks.get(task.id),),
    lists=(
        lambda backend, task: backend.tasks.list_tasks(
            status=task.status, assigned_to=task.assigned_to, project=task.project
        ),
    ),
    delete=lambda backend, task: backend.tasks.delete(task.id),
)

COST_RECORDS: Final = Kind(
    repository="cost_records",
    example=CostRecord(
        agent_id="agent-1",
        task_id="task-1",
        provider="provider-1",
        model="model-1",
        input_tokens=1000,
        output_tokens=200,
        cost_usd=0.0123,
        timestamp=MOMENT,
        call_category=LLMCallCategory.COORDINATION,
    ),
    changes={
        "agent_id": "agent-2",
        "task_id": "task-2",
        "provider": "provider-2",
        "input_tokens": 1,
        "output_tokens": 2,
        "cost_usd": 3.0,
        "timestamp": LATER,
        "call_category": None,
    },
    lists=(
        lambda backend, record: backend.cost_records.query(agent_id=record.agent_id),
        lambda backend, record: backend.cost_records.query(task_id=record.task_id),
    ),
    key=("model",),  # it has no key, and this field is as good as any to find it by
    append_only=True,
)

MESSAGES: Final = Kind(
    repository="messages",
    example=Message(
        id=UUID("0d3f8a3e-3c52-4a53-8f57-5f1d1a1f2b3c"),
        timestamp=MOMENT,
        sender="agent-1",
        to="agent-2",
        type=MessageType.QUESTION,
        priority=MessagePriority.HIGH,
        channel="general",
        content="Is it done?",
        attachments=(Attachment(type=AttachmentType.FILE, ref="notes.txt"),),
        metadata=MessageMetadata(
            task_id="task-1",
            project_id="website",
            tokens_used=7,
            cost_usd=0.5,
            extra=(("z", ""), ("a", "b")),
        ),
    ),
    changes={
        "timestamp": LATER,
        "sender": "agent-3",
        "to": "agent-4",
        "type": MessageType.APPROVAL,
        "priority": MessagePriority.LOW,
        "channel": "random",
        "content": "It is.",
        "attachments": (),
        "metadata": MessageMetadata(),
    },
    lists=(lambda backend, message: backend.messages.get_history(message.channel),),
    append_only=True,
)

LIFECYCLE_EVENTS: Final = Kind(
    repository="lifecycle_events",
    example=AgentLifecycleEvent(
        id="event-1",
        agent_id="agent-1",
        agent_name="Ada",
        event_type=LifecycleEventType.PROMOTED,
        timestamp=MOMENT,
        initiated_by="agent-0",
        details="to lead",
        metadata={"to": "lead", "from": "engineer"},
    ),
    changes={
        "agent_id": "agent-2",
        "agent_name": "Grace",
        "event_type": LifecycleEventType.HIRED,
        "timestamp": LATER,
        "initiated_by": "agent-9",
        "details": "",
        "metadata": {},
    },
    lists=(
        lambda backend, event: backend.lifecycle_events.list_events(agent_id=event.agent_id),
        lambda backend, event: backend.lifecycle_events.list_events(event_type=event.event_type),
        lambda backend, event: backend.lifecycle_events.list_events(since=event.timestamp),
    ),
    append_only=True,
)

TASK_METRICS: Final = Kind(
    repository="task_metrics",
    example=TaskMetricRecord(
        id="metric-1",
        agent_id="agent-1",
        task_id="task-1",
        task_type=TaskType.DESIGN,
        started_at=MOMENT - timedelta(hours=1),
        completed_at=MOMENT,
        is_success=True,
        duration_seconds=3600.5,
        cost_usd=0.75,
        turns_used=9,
        tokens_used=12345,
        quality_score=9.5,
        complexity=Complexity.EPIC,
    ),
    changes={
        "agent_id": "agent-2",
        "task_id": "task-2",
        "task_type": TaskType.ADMIN,
        "started_at": None,
        "completed_at": LATER,
        "is_success": False,
        "duration_seconds": 1.0,
        "cost_usd": 0.0,
        "turns_used": 0,
        "tokens_used": 1,
        "quality_score": None,
        "complexity": Complexity.SIMPLE,
    },
    lists=(
        lambda backend, record: backend.task_metrics.query(agent_id=record.agent_id),
        lambda backend, record: backend.task_metrics.query(
            since=record.completed_at, until=record.completed_at
        ),
    ),
    append_only=True,
)

COLLABORATION_METRICS: Final = Kind(
    repository="collaboration_metrics",
    example=CollaborationMetricRecord(
        id="metric-1",
        agent_id="agent-1",
        recorded_at=MOMENT,
        delegation_success=True,
        delegation_response_seconds=1.5,
        conflict_constructiveness=0.25,
        meeting_contribution=1.0,
        handoff_completeness=0.125,
        loop_triggered=True,
        interaction_summary="They agreed.",
    ),
    changes={
        "agent_id": "agent-2",
        "recorded_at": LATER,
        "delegation_success": None,
        "delegation_response_seconds": None,
        "conflict_constructiveness": None,
        "meeting_contribution": 0.0,
        "handoff_completeness": None,
        "loop_triggered": False,
        "interaction_summary": None,
    },
    lists=(
        lambda backend, record: backend.collaboration_metrics.query(agent_id=record.agent_id),
        lambda backend, record: backend.collaboration_metrics.query(since=record.recorded_at),
    ),
    append_only=True,
)

PARKED_CONTEXTS: Final = Kind(
    repository="parked_contexts",
    example=ParkedContext(
        id="parked-1",
        execution_id="execution-1",
        agent_id="agent-1",
        approval_id="approval-1",
        task_id="task-1",
        parked_at=MOMENT,
        context_json=' {"b": 1,\n"a":1e0 } ',
        metadata={"reason": "payment"},
    ),
    changes={
        "execution_id": "execution-2",
        "agent_id": "agent-2",
        "approval_id": "approval-2",
        "task_id": None,
        "parked_at": LATER,
        "context_json": "[]",
        "metadata": {},
    },
    gets=(
        lambda backend, context: backend.parked_contexts.get(context.id),
        lambda backend, context: backend.parked_contexts.get_by_approval(context.approval_id),
    ),
    lists=(lambda backend, context: backend.parked_contexts.get_by_agent(context.agent_id),),
    unique=("approval_id",),
    delete=lambda backend, context: backend.parked_contexts.delete(context.id),
)

AUDIT_ENTRIES: Final = Kind(
    repository="audit_entries",
    example=AuditEntry(
        id="entry-1",
        timestamp=MOMENT,
        agent_id="agent-1",
        task_id="task-1",
        tool_name="shell",
        tool_category=ToolCategory.TERMINAL,
        action_type="code:write",
        arguments_hash="0123456789abcdef" * 4,
        verdict="deny",
        risk_level=ApprovalRiskLevel.HIGH,
        reason="It deletes files.",
        matched_rules=("no-delete", "no-shell"),
        evaluation_duration_ms=0.25,
        confidence=EvaluationConfidence.LOW,
        approval_id="approval-1",
    ),
    changes={
        "timestamp": LATER,
        "agent_id": None,
        "task_id": None,
        "tool_name": "browser",
        "tool_category": ToolCategory.WEB,
        "action_type": "",
        "arguments_hash": "f" * 64,
        "verdict": "output_scan",
        "risk_level": ApprovalRiskLevel.LOW,
        "reason": "It only reads.",
        "matched_rules": (),
        "evaluation_duration_ms": 1.5,
        "confidence": EvaluationConfidence.HIGH,
        "approval_id": None,
    },
    lists=(
        lambda backend, entry: backend.audit_entries.query(
            agent_id=entry.agent_id,
            action_type=entry.action_type,
            verdict=entry.verdict,
            risk_level=entry.risk_level,
            since=entry.timestamp,
            until=entry.timestamp,
        ),
        lambda backend, _: backend.audit_entries.query(limit=100_000),
    ),
    append_only=True,
)

USERS: Final = Kind(
    repository="users",
    example=User(
        id="user-1",
        username="ada",
        password_hash="$argon2id$a-hash-nobody-may-read",
        role=HumanRole.MANAGER,
        must_change_password=False,
        created_at=MOMENT,
        updated_at=MOMENT,
    ),
    changes={
        "username": "grace",
        "password_hash": "$argon2id$another-hash",
        "role": HumanRole.OBSERVER,
        "must_change_password": True,
        "created_at": LATER,
        "updated_at": LATER,
    },
    gets=(
        lambda backend, user: backend.users.get(user.id),
        lambda backend, user: backend.users.get_by_username(user.username),
    ),
    unique=("username",),
    kept=("created_at",),
    delete=lambda backend, user: backend.users.delete(user.id),
)

API_KEYS: Final = Kind(
    repository="api_keys",
    example=ApiKey(
        id="key-1",
        key_hash="a-key-hash-nobody-may-read",
        name="build server",
        role=HumanRole.PAIR_PROGRAMMER,
        user_id="user-1",
        created_at=MOMENT,
        expires_at=LATER,
        revoked=True,
    ),
    changes={
        "key_hash": "another-key-hash",
        "name": "test server",
        "role": HumanRole.OBSERVER,
        "user_id": "user-2",
        "created_at": LATER,
        "expires_at": None,
        "revoked": False,
    },
    gets=(
        lambda backend, key: backend.api_keys.get(key.id),
        lambda backend, key: backend.api_keys.get_by_hash(key.key_hash),
    ),
    lists=(lambda backend, key: backend.api_keys.list_by_user(key.user_id),),
    unique=("key_hash",),
    kept=("created_at",),
    prepare=_save_owner,
    delete=lambda backend, key: backend.api_keys.delete(key.id),
)

CHECKPOINTS: Final = Kind(
    repository="checkpoints",
    example=Checkpoint(
        id="checkpoint-1",
        execution_id="execution-1",
        agent_id="agent-1",
        task_id="task-1",
        turn_number=7,
        context_json='{"b": 1, "a" : 1.0}',
        created_at=MOMENT,
    ),
    changes={
        "execution_id": "execution-2",
        "agent_id": "agent-2",
        "task_id": "task-2",
        "turn_number": 0,
        "context_json": "{}",
        "created_at": LATER,
    },
    gets=(
        lambda backend, checkpoint: backend.checkpoints.get_latest(
            execution_id=checkpoint.execution_id
        ),
        lambda backend, checkpoint: backend.checkpoints.get_latest(task_id=checkpoint.task_id),
        lambda backend, checkpoint: backend.checkpoints.get_latest(
            execution_id=checkpoint.execution_id, task_id=checkpoint.task_id
        ),
    ),
    unique=("execution_id", "task_id"),
    delete=lambda backend, checkpoint: backend.checkpoints.delete_by_execution(
        checkpoint.execution_id
    ),
)

HEARTBEATS: Final = Kind(
    repository="heartbeats",
    example=Heartbeat(
        execution_id="execution-1",
        agent_id="agent-1",
        task_id="task-1",
        last_heartbeat_at=MOMENT,
    ),
    changes={"agent_id": "agent-2", "task_id": "task-2", "last_heartbeat_at": LATER},
    gets=(lambda backend, heartbeat: backend.heartbeats.get(heartbeat.execution_id),),
    key=("execution_id",),
    delete=lambda backend, heartbeat: backend.heartbeats.delete(heartbeat.execution_id),
)

AGENT_STATES: Final = Kind(
    repository="agent_states",
    example=AgentRuntimeState(
        agent_id="agent-1",
        execution_id="execution-1",
        task_id="task-1",
        status=ExecutionStatus.PAUSED,
        turn_count=3,
        accumulated_cost_usd=0.5,
        last_activity_at=LATER,
        started_at=MOMENT,
    ),
    changes={
        "execution_id": None,
        "task_id": None,
        "status": ExecutionStatus.IDLE,
        "turn_count": 0,
        "accumulated_cost_usd": 0.0,
        "last_activity_at": MOMENT,
        "started_at": None,
    },
    gets=(lambda backend, state: backend.agent_states.get(state.agent_id),),
    key=("agent_id",),
    delete=lambda backend, state: backend.agent_states.delete(state.agent_id),
)

SETTINGS: Final = Kind(
    repository="settings",
    example=SettingRow("budget", "limit", " 100 ", "2024-03-01T12:30:15Z"),
    changes={"value": "", "updated_at": "not even a time"},
    given=st.builds(SettingRow, strategies.KEYS, strategies.KEYS, _TEXTS, _TEXTS),
    gets=(_get_setting,),
    lists=(_settings_of_namespace, _all_settings),
    key=("namespace", "key"),
    save_with=_save_setting,
    delete=lambda backend, row: backend.settings.delete(row.namespace, row.key),
)

ARTIFACTS: Final = Kind(
    repository="artifacts",
    example=Artifact(
        id="artifact-1",
        type=ArtifactType.TESTS,
        path="tests/test_login.py",
        task_id="task-1",
        created_by="agent-1",
        description="the tests",
        project_id="website",
        content_type="text/x-python",
        size_bytes=1234,
        created_at=MOMENT,
    ),
    changes={
        "type": ArtifactType.CODE,
        "path": "login.py",
        "task_id": "task-2",
        "created_by": "agent-2",
        "description": "",
        "project_id": None,
        "content_type": "",
        "size_bytes": 0,
        "created_at": None,
    },
    gets=(lambda backend, artifact: backend.artifacts.get(artifact.id),),
    lists=(
        lambda backend, artifact: backend.artifacts.list_artifacts(
            task_id=artifact.task_id,
            created_by=artifact.created_by,
            artifact_type=artifact.type,
        ),
    ),
    delete=lambda backend, artifact: backend.artifacts.delete(artifact.id),
)

PROJECTS: Final = Kind(
    repository="projects",
    example=Project(
        id="project-1",
        name="Website",
        description="The new website.",
        team=("agent-2", "agent-1"),
        task_ids=("task-9", "task-1"),
        lead="agent-1",
        deadline="2024-12-31T23:59:59Z",
        budget=1000.5,
        status=ProjectStatus.ON_HOLD,
    ),
    changes={
        "name": "Shop",
        "description": "",
        "team": (),
        "task_ids": ("task-2",),
        "lead": None,
        "deadline": None,
        "budget": 0.0,
        "status": ProjectStatus.ACTIVE,
    },
    gets=(lambda backend, project: backend.projects.get(project.id),),
    lists=(
        lambda backend, project: backend.projects.list_projects(
            status=project.status, lead=project.lead
        ),
    ),
    delete=lambda backend, project: backend.projects.delete(project.id),
)

PRESETS: Final = Kind(
    repository="custom_presets",
    example=PresetListRow("kind", '{"warmth": 1.0 }', "a friend", "2024-03-01", "2024-03-02"),
    changes={
        "config_json": "not even JSON",
        "description": "",
        "created_at": "2025-01-01",
        "updated_at": "2025-01-02",
    },
    given=st.builds(PresetListRow, strategies.KEYS, _TEXTS, _TEXTS, _TEXTS, _TEXTS),
    gets=(_get_preset,),
    lists=(lambda backend, _: backend.custom_presets.list_all(),),
    key=("name",),
    kept=("created_at",),
    save_with=lambda backend, row: backend.custom_presets.save(*row),
    delete=lambda backend, row: backend.custom_presets.delete(row.name),
)

DEFINITIONS: Final = Kind(
    repository="workflow_definitions",
    example=WorkflowDefinition(
        id="definition-1",
        name="Release",
        description="How to release.",
        workflow_type=WorkflowType.KANBAN,
        nodes=(
            WorkflowNode(id="s", label="Start", type=WorkflowNodeType.START),
            WorkflowNode(
                id="t",
                label="Build",
                type=WorkflowNodeType.TASK,
                position_x=-1.5,
                position_y=1e-300,
                config={"steps": [{"run": "make"}, None, True, 1, 1.0], "depth": {}},
            ),
            WorkflowNode(id="e", label="End", type=WorkflowNodeType.END),
        ),
        edges=(
            WorkflowEdge(id="1", source_node_id="s", target_node_id="t"),
            WorkflowEdge(
                id="2",
                source_node_id="t",
                target_node_id="e",
                type=WorkflowEdgeType.CONDITIONAL_TRUE,
                label="built",
            ),
        ),
        created_by="user-1",
        created_at=MOMENT,
        updated_at=MOMENT,
        version=1,
    ),
    changes={
        "name": "Deploy",
        "description": "",
        "workflow_type": WorkflowType.AGILE_KANBAN,
        "nodes": (
            WorkflowNode(id="e", label="End", type=WorkflowNodeType.END),
            WorkflowNode(id="s", label="Start", type=WorkflowNodeType.START),
        ),
        "edges": (),
        "created_by": "user-2",
        "created_at": LATER,
        "updated_at": LATER,
        "version": 2,
    },
    gets=(lambda backend, definition: backend.workflow_definitions.get(definition.id),),
    lists=(
        lambda backend, definition: backend.workflow_definitions.list_definitions(
            workflow_type=definition.workflow_type
        ),
        lambda backend, _: backend.workflow_definitions.list_definitions(),
    ),
    kept=("created_by", "created_at"),
    delete=lambda backend, definition: backend.workflow_definitions.delete(definition.id),
    versioned=True,
)

EXECUTIONS: Final = Kind(
    repository="workflow_executions",
    example=WorkflowExecution(
        id="execution-1",
        definition_id="definition-1",
        definition_version=3,
        status=WorkflowExecutionStatus.FAILED,
        node_executions=(
            WorkflowNodeExecution(
                node_id="t",
                node_type=WorkflowNodeType.TASK,
                status=WorkflowNodeExecutionStatus.TASK_CREATED,
                task_id="task-1",
            ),
            WorkflowNodeExecution(
                node_id="c",
                node_type=WorkflowNodeType.CONDITIONAL,
                status=WorkflowNodeExecutionStatus.SKIPPED,
                skipped_reason="not needed",
            ),
        ),
        activated_by="user-1",
        project="website",
        created_at=MOMENT,
        updated_at=MOMENT,
        completed_at=LATER,
        error="It did not build.",
        version=1,
    ),
    changes={
        "definition_id": "definition-2",
        "definition_version": 1,
        "status": WorkflowExecutionStatus.RUNNING,
        "node_executions": (),
        "activated_by": "user-2",
        "project": "shop",
        "created_at": LATER,
        "updated_at": LATER,
        "completed_at": None,
        "error": None,
        "version": 2,
    },
    gets=(lambda backend, execution: backend.workflow_executions.get(execution.id),),
    lists=(
        lambda backend, execution: backend.workflow_executions.list_by_definition(
            execution.definition_id
        ),
        lambda backend, execution: backend.workflow_executions.list_by_status(execution.status),
    ),
    prepare=_save_definition,
    delete=lambda backend, execution: backend.workflow_executions.delete(execution.id),
    versioned=True,
)

KINDS: Final = (
    TASKS,
    COST_RECORDS,
    MESSAGES,
    LIFECYCLE_EVENTS,
    TASK_METRICS,
    COLLABORATION_METRICS,
    PARKED_CONTEXTS,
    AUDIT_ENTRIES,
    USERS,
    API_KEYS,
    CHECKPOINTS,
    HEARTBEATS,
    AGENT_STATES,
    SETTINGS,
    ARTIFACTS,
    PROJECTS,
    PRESETS,
    DEFINITIONS,
    EXECUTIONS,
)


def kinds(select: Callable[[Kind], object] = lambda _: True) -> pytest.MarkDecorator:
    """Run a test for every kind of record, or for some of them, as its argument `kind`."""
    chosen = [kind for kind in KINDS if select(kind)]
    return pytest.mark.parametrize("kind", chosen, ids=lambda kind: kind.repository)
