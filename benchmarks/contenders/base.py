"""What every contender can do, so that each can be given the same work."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from benchmarks.data import Job
from synthorg.entities import CostRecord, Message, Task
from synthorg.persistence import MariaDBConfig, PersistenceConfig, SQLiteConfig
from synthorg.persistence.config import ServerConfig
from synthorg.persistence.sql.dialects.sqlite import PAGES_BETWEEN_CHECKPOINTS

NEWEST: Final = 50
"""How many messages `newest` returns."""


class Contender(ABC):
    """One way to keep records in a database that the library has migrated.

    What all have in common: the tables, indexes, triggers and constraints, which are the
    library's; a save that returns is committed; what is read is a validated entity.

    Args:
        config: The database, which belongs to this contender alone.
    """

    def __init__(self, config: PersistenceConfig) -> None:
        self.config = config

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""

    @abstractmethod
    async def save(self, task: Task) -> None:
        """Insert or replace a task."""

    @abstractmethod
    async def get(self, task_id: str) -> Task | None:
        """Read a task."""

    @abstractmethod
    async def list_project(self, project: str) -> Sequence[Task]:
        """Read the tasks of a project, ordered by id."""

    @abstractmethod
    async def newest(self, channel: str) -> Sequence[Message]:
        """Read the newest messages of a channel, newest first."""

    @abstractmethod
    async def spent(self, agent_id: str) -> float:
        """Let the database add up the costs of an agent."""

    @abstractmethod
    async def save_many(self, tasks: Sequence[Task]) -> None:
        """Insert or replace tasks, all or none wherever the contender can."""

    @abstractmethod
    async def work(self, job: Job) -> None:
        """In one transaction: read a task, save it changed, add a message and a cost."""

    @abstractmethod
    async def add_message(self, message: Message) -> None:
        """Append a message."""

    @abstractmethod
    async def add_cost(self, cost: CostRecord) -> None:
        """Append a cost."""


def changed(task: Task | None, job: Job) -> Task:
    """Apply the changes of a job to the task that was read.

    Args:
        task: The task.
        job: The job.
    """
    if task is None:
        raise LookupError(f"{job.task_id} is not stored")
    return task.model_copy(update=dict(job.changes))


def sqlite_pragmas(config: SQLiteConfig) -> dict[str, str]:
    """Give the pragmas that the library sets, for the others to set too."""
    return {
        "foreign_keys": "ON",
        "journal_mode": "WAL",
        "journal_size_limit": str(config.journal_size_limit),
        "wal_autocheckpoint": str(PAGES_BETWEEN_CHECKPOINTS),
        "synchronous": config.synchronous.upper(),
        "busy_timeout": str(round(config.busy_timeout_seconds * 1000)),
    }


def mariadb_session(config: MariaDBConfig) -> str:
    """Give the command that sets up a session: how isolated it is, and the library's time limit."""
    seconds = config.statement_timeout_seconds
    return f"SET SESSION tx_isolation = 'READ-COMMITTED', max_statement_time = {seconds:f}"


def server_address(config: ServerConfig) -> str:
    """Give what stands behind the scheme in the URL of a server, with the password.

    Args:
        config: The server.
    """
    _, _, address = config.description.partition("://")
    if config.password is None:
        return address
    user, _, place = address.rpartition("@")
    return f"{user}:{quote(config.password.get_secret_value(), safe='')}@{place}"
