"""A model of a database in plain dictionaries, and operations for it and for the real one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from typing_extensions import override

from synthorg.entities import HumanRole, Message, Task, User, WorkflowDefinition
from synthorg.persistence import (
    DuplicateRecordError,
    InvalidArgumentError,
    PersistenceError,
    VersionConflictError,
)
from synthorg.persistence.testing.kinds import DEFINITIONS, LATER, MESSAGES, MOMENT, TASKS, USERS
from synthorg.persistence.testing.units import rolled_back
from synthorg.persistence.transactions import Stores, TransactionalBackend, UnitOfWork

KEYS: Final = ("a", "b", "c")
TIMES: Final = ("t1", "t2")
CHANNEL: Final = MESSAGES.example.channel

Outcome = bool | int | type[PersistenceError] | None
"""What an operation returns, or which error it raises."""


@dataclass
class Model:
    """What is stored, by key."""

    tasks: dict[str, Task] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    definitions: dict[str, WorkflowDefinition] = field(default_factory=dict)
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)

    def snapshot(self) -> "Model":
        """Copy everything."""
        return Model(*(copy(getattr(self, each.name)) for each in fields(self)))

    def restore(self, snapshot: "Model") -> None:
        """Go back to a copy."""
        for each in fields(self):
            setattr(self, each.name, getattr(snapshot, each.name))


async def read(stores: Stores) -> Model:
    """Read everything that is stored."""
    users = await stores.users.get_many(KEYS)
    assert await stores.users.count() == len(users)
    return Model(
        tasks={task.id: task for task in await stores.tasks.list_tasks()},
        users=dict(users),
        definitions={
            each.id: each for each in await stores.workflow_definitions.list_definitions()
        },
        settings={key: (value, at) for _, key, value, at in await stores.settings.get_all()},
        messages={message.content: message async for message in stores.messages.stream(CHANNEL)},
    )


class Operation(ABC):
    """Something to do."""

    @abstractmethod
    def model(self, model: Model) -> Outcome:
        """Do it to a model.

        Raises:
            PersistenceError: If the real one has to raise such an error.
        """

    @abstractmethod
    async def real(self, stores: Any) -> Outcome:
        """Do it to a backend or a unit of work."""


@dataclass(frozen=True)
class SaveTask(Operation):
    """Insert or replace a task."""

    task: Task

    @override
    def model(self, model: Model) -> Outcome:
        model.tasks[self.task.id] = self.task
        return None

    @override
    async def real(self, stores: Stores) -> Outcome:
        await stores.tasks.save(self.task)
        return None


@dataclass(frozen=True)
class DeleteTask(Operation):
    """Delete a task."""

    key: str

    @override
    def model(self, model: Model) -> Outcome:
        return model.tasks.pop(self.key, None) is not None

    @override
    async def real(self, stores: Stores) -> Outcome:
        return await stores.tasks.delete(self.key)


@dataclass(frozen=True)
class DeleteTasks(Operation):
    """Delete several tasks."""

    keys: Sequence[str]

    @override
    def model(self, model: Model) -> Outcome:
        return sum(model.tasks.pop(key, None) is not None for key in self.keys)

    @override
    async def real(self, stores: Stores) -> Outcome:
        return await stores.tasks.delete_many(self.keys)


@dataclass(frozen=True)
class SaveUser(Operation):
    """Insert or replace a user, of whom there is one of each name and one ceo."""

    user: User

    @override
    def model(self, model: Model) -> Outcome:
        user = self.user
        for other in model.users.values():
            is_taken = other.username == user.username
            is_second_ceo = other.role is user.role is HumanRole.CEO
            if other.id != user.id and (is_taken or is_second_ceo):
                raise DuplicateRecordError
        if (existing := model.users.get(user.id)) is not None:
            user = USERS.altered(user, created_at=existing.created_at)
        model.users[user.id] = user
        return None

    @override
    async def real(self, stores: Stores) -> Outcome:
        await stores.users.save(self.user)
        return None


@dataclass(frozen=True)
class DeleteUser(Operation):
    """Delete a user."""

    key: str

    @override
    def model(self, model: Model) -> Outcome:
        return model.users.pop(self.key, None) is not None

    @override
    async def real(self, stores: Stores) -> Outcome:
        return await stores.users.delete(self.key)


@dataclass(frozen=True)
class SaveDefinition(Operation):
    """Save a version of a definition over the one before."""

    definition: WorkflowDefinition

    @override
    def model(self, model: Model) -> Outcome:
        definition = self.definition
        existing = model.definitions.get(definition.id)
        if definition.version != (1 if existing is None else existing.version + 1):
            raise VersionConflictError
        if existing is not None:
            kept = {name: getattr(existing, name) for name in DEFINITIONS.kept}
            definition = DEFINITIONS.altered(definition, **kept)
        model.definitions[definition.id] = definition
        return None

    @override
    async def real(self, stores: Stores) -> Outcome:
        await stores.workflow_definitions.save(self.definition)
        return None


@dataclass(frozen=True)
class DeleteDefinition(Operation):
    """Delete a definition."""

    key: str

    @override
    def model(self, model: Model) -> Outcome:
        return model.definitions.pop(self.key, None) is not None

    @override
    async def real(self, stores: Stores) -> Outcome:
        return await stores.workflow_definitions.delete(self.key)


@dataclass(frozen=True)
class Swap(Operation):
    """Set a setting, in general if it is still the expected one."""

    key: str
    value: str
    updated_at: str
    expected: str | None

    @override
    def model(self, model: Model) -> Outcome:
        existing = model.settings.get(self.key)
        if self.expected is not None:
            found = "" if existing is None else existing[1]
            if found != self.expected:
                return False
        model.settings[self.key] = self.value, self.updated_at
        return True

    @override
    async def real(self, stores: Stores) -> Outcome:
        return await stores.settings.set(
            "n", self.key, self.value, self.updated_at, expected_updated_at=self.expected
        )


@dataclass(frozen=True)
class DeleteSettings(Operation):
    """Delete all settings."""

    @override
    def model(self, model: Model) -> Outcome:
        deleted = len(model.settings)
        model.settings = {}
        return deleted

    @override
    async def real(self, stores: Stores) -> Outcome:
        return await stores.settings.delete_namespace("n")


@dataclass(frozen=True)
class SaveMessage(Operation):
    """Add a message."""

    message: Message

    @override
    def model(self, model: Model) -> Outcome:
        if self.message.content in model.messages:
            raise DuplicateRecordError
        model.messages[self.message.content] = self.message
        return None

    @override
    async def real(self, stores: Stores) -> Outcome:
        await stores.messages.save(self.message)
        return None


@dataclass(frozen=True)
class Refused(Operation):
    """Ask for something that makes no sense."""

    @override
    def model(self, model: Model) -> Outcome:
        raise InvalidArgumentError

    @override
    async def real(self, stores: Stores) -> Outcome:
        await stores.tasks.save(TASKS.forged(TASKS.example, title="\x00"))
        return None


@dataclass(frozen=True)
class SaveMany(Operation):
    """Save several records of one kind, all or none."""

    saves: Sequence[Operation]

    @override
    def model(self, model: Model) -> Outcome:
        before = model.snapshot()
        try:
            for save in self.saves:
                save.model(model)
        except PersistenceError:
            model.restore(before)
            raise
        return None

    @override
    async def real(self, stores: Stores) -> Outcome:
        (name,) = {next(iter(vars(save))) for save in self.saves}
        records = [getattr(save, name) for save in self.saves]
        repository = {"definition": "workflow_definitions"}.get(name, f"{name}s")
        await getattr(stores, repository).save_many(iter(records))
        return None


@dataclass(frozen=True)
class Part:
    """Several steps in a unit of work, or in a part of one, which may fail as a whole."""

    steps: Sequence["Operation | Part"]
    fails: bool


Step = Operation | Part


async def carry_out(
    steps: Sequence[Step], model: Model, stores: TransactionalBackend | UnitOfWork
) -> None:
    """Do the same to a model and to the real thing, and compare all that can be seen."""
    for step in steps:
        if isinstance(step, Part):
            before = model.snapshot()
            async with rolled_back(stores) if step.fails else stores.transaction() as unit:
                await carry_out(step.steps, model, unit)
            if step.fails:
                model.restore(before)
        else:
            assert await _real(step, stores) == _modelled(step, model), step
    assert await read(stores) == model


def _modelled(operation: Operation, model: Model) -> Outcome:
    try:
        return operation.model(model)
    except PersistenceError as error:
        return type(error)


async def _real(operation: Operation, stores: Stores) -> Outcome:
    try:
        return await operation.real(stores)
    except PersistenceError as error:
        return type(error)


_KEYS: Final = st.sampled_from(KEYS)
_MOMENTS: Final = st.sampled_from((MOMENT, LATER))


def _saved(operation: type[Operation], records: SearchStrategy[Any]) -> SearchStrategy[Operation]:
    """Save one record, or several at once."""
    one = st.builds(operation, records)
    return one | st.builds(SaveMany, st.lists(one, min_size=1, max_size=4))


_SIMPLE: Final[SearchStrategy[Operation]] = st.one_of(
    _saved(SaveTask, st.builds(TASKS.make, id=_KEYS, title=_KEYS)),
    st.builds(DeleteTask, _KEYS),
    st.builds(DeleteTasks, st.lists(_KEYS, max_size=4)),
    _saved(
        SaveUser,
        st.builds(
            USERS.make,
            id=_KEYS,
            username=_KEYS,
            role=st.sampled_from((HumanRole.CEO, HumanRole.MANAGER)),
            created_at=_MOMENTS,
        ),
    ),
    st.builds(DeleteUser, _KEYS),
    _saved(
        SaveDefinition,
        st.builds(
            DEFINITIONS.make,
            id=_KEYS,
            version=st.sampled_from((1, 1, 2, 3)),
            created_at=_MOMENTS,
            created_by=_KEYS,
        ),
    ),
    st.builds(DeleteDefinition, _KEYS),
    st.builds(
        Swap, _KEYS, _KEYS, st.sampled_from(TIMES), st.none() | st.sampled_from(("", *TIMES))
    ),
    st.builds(DeleteSettings),
    _saved(
        SaveMessage,
        st.sampled_from(KEYS).map(lambda key: MESSAGES.altered(MESSAGES.keyed(key), content=key)),
    ),
    st.builds(Refused),
)

STEPS: Final[SearchStrategy[list[Step]]] = st.lists(
    st.recursive(
        _SIMPLE,
        lambda inner: st.builds(Part, st.lists(inner, max_size=6), st.booleans()),
        max_leaves=12,
    ),
    max_size=12,
)
"""Any steps, in units of work and outside of them."""
