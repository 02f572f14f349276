"""The benchmark of an application's own repository does the same work on both."""

from pathlib import Path

from benchmarks.data import Volume
from benchmarks.databases import fill
from benchmarks.extension import measure, workloads
from benchmarks.own_tasks import OwnTaskRepository, own
from synthorg.persistence import Page, PersistenceConfig, create_backend

VOLUME = Volume(100)


async def test_both_repositories_are_asked_and_answer_alike(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    await fill(url, VOLUME)

    ratios = await measure(url, VOLUME, rounds=1)

    config = PersistenceConfig.from_url(url)
    async with create_backend(config, extensions=[own]) as backend:
        repository = backend.repository(OwnTaskRepository)
        made = workloads(backend.tasks, repository, VOLUME)
        assert made.keys() == ratios.keys()
        for workload in made.values():
            assert records(await workload.built_in(1)) == records(await workload.own(1))
        assert await repository.find() == await backend.tasks.list_tasks()


def records(answer: object) -> object:
    """Leave out the cursor of a page, which is of one table."""
    return answer.items if isinstance(answer, Page) else answer
