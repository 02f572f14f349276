"""Backends in each of which one behaviour is broken, and the shipped tests of them.

`test_finding_faults.py` runs this file in a process of its own, where each class has to fail.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from synthorg.persistence import (
    DuplicateRecordError,
    ManagedBackend,
    PersistenceConfig,
    create_backend,
)
from synthorg.persistence.testing.backend import BackendConformance

Broken = Callable[..., Any]


class OfWrong(BackendConformance):
    """The library's own backend, with one method in the place of another."""

    repository: ClassVar[str]
    method: ClassVar[str]

    @staticmethod
    def broken(right: Broken) -> Broken:
        """Make the method that is wrong."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def persistence_backend(
        self, monkeypatch: pytest.MonkeyPatch, migrated: Path, tmp_path: Path
    ) -> AsyncIterator[ManagedBackend]:
        """A backend on a file of its own."""
        shutil.copy(migrated, tmp_path / "own.db")
        async with create_backend(config_of(tmp_path / "own.db")) as backend:
            holder = type(getattr(backend, self.repository) if self.repository else backend)
            right = getattr(holder, self.method)
            monkeypatch.setattr(holder, self.method, self.broken(right))
            yield backend


def config_of(file: Path) -> PersistenceConfig:
    """Configure a database in a file."""
    return PersistenceConfig.from_url(f"sqlite:///{file}")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is copied, since migrating each would take most of the time."""
    file = tmp_path_factory.mktemp("migrated") / "template.db"

    async def migrate() -> None:
        async with create_backend(config_of(file)) as backend:
            await backend.migrate()

    asyncio.run(migrate())
    return file


class TestDeletingAlwaysFoundSomething(OfWrong):
    """Whether a task was there or not."""

    repository, method = "tasks", "delete"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def delete(self: Any, task_id: str) -> bool:
            await right(self, task_id)
            return True

        return delete


class TestAListIgnoresAFilter(OfWrong):
    """Projects are listed whoever leads them."""

    repository, method = "projects", "list_projects"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def list_projects(self: Any, **filters: Any) -> Any:
            return await right(self, **{**filters, "lead": None})

        return list_projects


class TestAListIsInTheReverseOrder(OfWrong):
    """The oldest message comes first."""

    repository, method = "messages", "get_history"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def get_history(self: Any, channel: str, *, limit: int | None = None) -> Any:
            return (await right(self, channel, limit=limit))[::-1]

        return get_history


class TestASaveForgetsAField(OfWrong):
    """Artifacts have no type of content."""

    repository, method = "artifacts", "save"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def save(self: Any, artifact: Any) -> None:
            await right(self, artifact.model_copy(update={"content_type": ""}))

        return save


class TestAKeyIsFolded(OfWrong):
    """A heartbeat is found under a key in other capitals, too."""

    repository, method = "heartbeats", "get"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def get(self: Any, execution_id: str) -> Any:
            return await right(self, execution_id) or await right(self, execution_id.lower())

        return get


class TestManyAreReadButForOne(OfWrong):
    """The last of several users is missing."""

    repository, method = "users", "get_many"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def get_many(self: Any, keys: Any) -> Any:
            return dict([*(await right(self, keys)).items()][:-1])

        return get_many


class TestAnyVersionIsSaved(OfWrong):
    """A definition takes the place of any other."""

    repository, method = "workflow_definitions", "save"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def save(self: Any, definition: Any) -> None:
            await self.delete(definition.id)
            await right(self, definition.model_copy(update={"version": 1}))

        return save


class TestADuplicateIsPassedOver(OfWrong):
    """An audit entry that is there is told as saved."""

    repository, method = "audit_entries", "save"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def save(self: Any, entry: Any) -> None:
            try:
                await right(self, entry)
            except DuplicateRecordError:
                return

        return save


class TestARangeLeavesItsEndOut(OfWrong):
    """A metric at the very end of a range is missing."""

    repository, method = "task_metrics", "query"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def query(self: Any, **filters: Any) -> Any:
            if filters.get("until") is not None:
                filters["until"] -= timedelta(microseconds=1)
            return await right(self, **filters)

        return query


class TestAStreamLosesItsLast(OfWrong):
    """The last event is missing."""

    repository, method = "lifecycle_events", "stream"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def stream(self: Any, **filters: Any) -> Any:
            before: list[Any] = []
            async for record in right(self, **filters):
                if before:
                    yield before.pop()
                before.append(record)

        return stream


class TestAMishapUndoesNothing(OfWrong):
    """A unit is committed whatever happens in it."""

    repository, method = "", "transaction"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        @asynccontextmanager
        async def transaction(self: Any, **options: Any) -> AsyncIterator[Any]:
            mishap: BaseException | None = None
            async with right(self, **options) as unit:
                try:
                    yield unit
                except Exception as error:  # noqa: BLE001 (whatever it is)
                    mishap = error
            if mishap is not None:
                raise mishap

        return transaction


class TestTheSumIsRounded(OfWrong):
    """Costs are added up to the cent."""

    repository, method = "cost_records", "aggregate"

    @staticmethod
    def broken(right: Broken) -> Broken:
        """As the class says."""

        async def aggregate(self: Any, **filters: Any) -> float:
            return round(float(await right(self, **filters)), 2)

        return aggregate
