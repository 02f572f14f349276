"""The main job: a repository's history in a database, read back through the stores."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from git_import import Importer, Tally
from git_log import Commit, GitLog, open_repository
from git_records import Records

from synthorg.entities import LifecycleEventType, Message, Project, TaskMetricRecord, TaskStatus
from synthorg.persistence import (
    PersistenceBackend,
    PersistenceConfig,
    PersistenceError,
    TransactionalBackend,
    TransactionConflictError,
    create_backend,
)
from tests.examples.git_repositories import ANN, BOB, GitRepository
from tests.servers.sqlite import SQLiteMemory

KINDS = ("tasks", "messages", "metrics", "artifacts")
"""Of each of these, a commit that `commit_many` makes becomes one record."""

RECORDS_OF_TEN_COMMITS = 10 * len(KINDS)

ON_ONE_DATABASE = pytest.mark.parametrize("server", [SQLiteMemory], indirect=True)
"""For what no kind of database makes different."""

TEXT_OF_EVERY_KIND = {
    "empty": (b"", b" <> 1 +0000"),
    "white space": (b" \n\t\n", b"\t< > 1 +0000"),
    "separators that count as white space": (b"\x1f\xc2\xa0", b"\x1c <\x1d> 1 +0000"),
    "no UTF-8": (b"\xff\xfe", b"\xff <\xfe> 1 +0000"),
    "controls": (b"\x1b[2J\x07", b"\x1b[31m <\x07> 1 +0000"),
    "far beyond the Basic Multilingual Plane": (
        "\U0001f9d1\u200d\U0001f680".encode(),
        "\U0001f9d1 <\U0001f680> 1 +0000".encode(),
    ),
    "encoded surrogates": (b"\xed\xa0\x80", b"\xed\xa0\x80 <\xed\xbf\xbf> 1 +0000"),
    "long": (b"word " * 100_000, b"%s <%s> 1 +0000" % (b"n" * 5000, b"a" * 5000)),
    "quotes": (b"'; DROP TABLE tasks; --", b"'\" <\"'`> 1 +0000"),
    "markup": (b"[bold]not bold[/bold] [/]", b"[red]A <[link=x]> 1 +0000"),
    "trailing spaces": (b"title  \n\nbody  \n", b"A  < a  > 1 +0000"),
}


@pytest.fixture
def backend(backend: PersistenceBackend) -> TransactionalBackend:
    assert isinstance(backend, TransactionalBackend)
    return backend


async def read(repository: GitRepository) -> tuple[Records, list[Commit]]:
    opened = await open_repository(repository.folder)
    return Records(opened), [commit async for commit in GitLog(opened).commits()]


async def in_order(commits: list[Commit]) -> AsyncIterator[Commit]:
    for commit in commits:
        yield commit


async def import_all(
    repository: GitRepository, backend: TransactionalBackend
) -> tuple[Tally, Project, Records]:
    records, commits = await read(repository)
    importer = Importer(backend, records, RECORDS_OF_TEN_COMMITS)
    project = await importer.run(in_order(commits), lambda _: None)
    return importer.tally, project, records


def made(records: Records, commits: Iterable[Commit]) -> set[str]:
    """Everything that some commits are to become, but for their authors."""
    return {
        record.model_dump_json()
        for commit in commits
        for record in (
            records.task(commit),
            records.message(commit),
            records.metric(commit),
            *records.artifacts(commit),
        )
    }


async def stored(backend: TransactionalBackend, records: Records) -> set[str]:
    """The same of what the database holds."""
    found = (
        *await backend.tasks.list_tasks(),
        *await backend.messages.get_history(records.channel),
        *await backend.task_metrics.query(),
        *await backend.artifacts.list_artifacts(),
    )
    return {record.model_dump_json() for record in found}


async def test_a_history_becomes_a_project_with_all_that_belongs_to_it(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    first = repository.commit(b"Start\n", author=ANN, committer=ANN, files={b"a.py": b"1"})
    second = repository.commit(
        b"Go on\n\nBecause.\n\n"
        b"Reviewed-by: Bob <bob@example.org>\n"
        b"Tested-by: Bob <bob@example.org>\n"
        b"Acked-by: Ann <ann@example.org>\n",
        author=ANN,
        committer=BOB,
        parents=[first],
        files={b"a.py": b"2", b"b.py": b"3"},
    )
    repository.commit(b"End\n", author=BOB, parents=[second], files={b"b.py": b"3"})

    tally, project, records = await import_all(repository, backend)

    assert await backend.projects.get(records.project_id) == project
    assert project.name == "repository"
    assert project.team == ("bob@example.org", "ann@example.org")
    assert project.lead == "ann@example.org"

    messages = await backend.messages.get_history(records.channel)
    by_title = {message.content: message for message in messages}
    tasks = {task.title: task for task in await backend.tasks.list_tasks(project=project.id)}
    assert set(tasks) == set(by_title) == {"Start", "Go on", "End"}
    task = tasks["Go on"]
    assert task.description.startswith("Because.\n\nReviewed-by: Bob")
    assert task.assigned_to == task.created_by == "ann@example.org"
    assert task.reviewers == ("bob@example.org", "ann@example.org")
    assert task.dependencies == (tasks["Start"].id,)
    assert task.status is TaskStatus.COMPLETED
    assert tasks["Start"].description == "Start"

    message = by_title["Go on"]
    assert message.timestamp == datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC)
    assert message.metadata.task_id == task.id
    assert dict(message.metadata.extra) == {
        "commit": second,
        "committer": "bob@example.org",
        "authored_at": "2023-11-14T23:13:20+01:00",
        "committed_at": "2023-11-14T17:43:20-05:30",
    }

    [metric] = [
        metric
        for metric in await backend.task_metrics.query(agent_id="ann@example.org")
        if metric.task_id == task.id
    ]
    assert metric.started_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (metric.completed_at, metric.duration_seconds) == (message.timestamp, 3600)

    artifacts = await backend.artifacts.list_artifacts(task_id=task.id)
    assert {(artifact.path, artifact.description) for artifact in artifacts} == {
        ("a.py", "file modified"),
        ("b.py", "file added"),
    }
    assert {artifact.project_id for artifact in artifacts} == {project.id}

    hirings = await backend.lifecycle_events.list_events(event_type=LifecycleEventType.HIRED)
    assert {(event.agent_name, event.details) for event in hirings} == {
        ("Ann", "First commit: Start"),
        ("Bob", "First commit: End"),
    }
    assert tally.written == {
        "projects": 1,
        "agents hired": 2,
        "tasks": 3,
        "messages": 3,
        "metrics": 3,
        "artifacts": 4,
    }
    assert not tally.present.total()


async def test_a_second_import_adds_nothing_and_a_third_only_what_is_new(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    repository.commit_many(25)
    first, project, records = await import_all(repository, backend)
    before = await stored(backend, records)

    second, again, _ = await import_all(repository, backend)

    assert again == project
    assert second.written.total() == 0
    assert second.present == first.written
    assert await stored(backend, records) == before

    head = repository.run("rev-parse", "main")
    repository.commit(b"new", author=ANN, parents=[head], files={b"new": b""})
    third, grown, _ = await import_all(repository, backend)

    assert third.written == {
        "projects": 1,
        "agents hired": 1,
        "tasks": 1,
        "messages": 1,
        "metrics": 1,
        "artifacts": 11,
    }
    assert grown.team == (*project.team, "ann@example.org")
    assert await stored(backend, records) == made(*await read(repository))


async def test_a_stopped_import_leaves_whole_commits_and_is_completed_by_the_next(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    repository.commit_many(25)
    records, commits = await read(repository)

    class StoppedInTheMiddle(Records):
        def message(self, commit: Commit) -> Message:
            if commit == commits[15]:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            return super().message(commit)

    stopped = Importer(
        backend,
        StoppedInTheMiddle(await open_repository(repository.folder)),
        RECORDS_OF_TEN_COMMITS,
    )
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(stopped.run(in_order(commits), lambda _: None))

    assert await stored(backend, records) == made(records, commits[:10])
    assert stopped.tally.written == dict.fromkeys(KINDS, 10)

    tally, _, _ = await import_all(repository, backend)

    assert await stored(backend, records) == made(records, commits)
    assert tally.written == {**dict.fromkeys(KINDS, 15), "projects": 1, "agents hired": 3}
    assert tally.present == dict.fromkeys(KINDS, 10)


async def test_commits_of_which_only_some_records_are_there_are_completed(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    """An import that saves record by record, the task last, leaves them so when it is stopped."""
    repository.commit_many(10)
    records, commits = await read(repository)
    await backend.projects.save(records.project())
    await backend.lifecycle_events.save(records.hiring(commits[-1]))
    for commit, (has_artifact, has_message, has_metric) in zip(
        commits, product((True, False), repeat=3), strict=False
    ):
        if has_artifact:
            await backend.artifacts.save_many(records.artifacts(commit))
        if has_message:
            await backend.messages.save(records.message(commit))
        if has_metric:
            await backend.task_metrics.save(records.metric(commit))
    await backend.tasks.save(records.task(commits[0]))

    tally, project, _ = await import_all(repository, backend)

    assert await stored(backend, records) == made(records, commits)
    assert await backend.projects.get(project.id) == project
    assert len(await backend.lifecycle_events.list_events()) == 3
    assert tally.written == {
        "projects": 1,
        "agents hired": 2,
        "tasks": 9,
        "messages": 6,
        "metrics": 6,
        "artifacts": 9,
    }
    assert tally.present == {
        "agents hired": 1,
        "tasks": 1,
        "messages": 4,
        "metrics": 4,
        "artifacts": 1,
    }


async def test_a_task_that_was_changed_in_the_database_is_put_right(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    repository.commit(files={b"a": b"1"})
    _, _, records = await import_all(repository, backend)
    [task] = await backend.tasks.list_tasks()
    await backend.tasks.save(task.model_copy(update={"title": "changed"}))

    tally, _, _ = await import_all(repository, backend)

    assert tally.written == {"tasks": 1}
    unchanged = ("projects", "agents hired", "messages", "metrics", "artifacts")
    assert tally.present == dict.fromkeys(unchanged, 1)
    assert await stored(backend, records) == made(*await read(repository))


@ON_ONE_DATABASE
async def test_a_unit_of_work_that_met_another_is_done_again_and_counted_once(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    repository.commit_many(5)
    _, commits = await read(repository)
    met: list[Commit] = []

    class MeetsAnother(Records):
        def metric(self, commit: Commit) -> TaskMetricRecord:
            if commit not in met:
                met.append(commit)
                raise TransactionConflictError
            return super().metric(commit)

    records = MeetsAnother(await open_repository(repository.folder))
    importer = Importer(backend, records)
    await importer.run(in_order(commits), lambda _: None)

    assert met == commits
    assert importer.tally.written == {**dict.fromkeys(KINDS, 5), "projects": 1, "agents hired": 3}
    assert not importer.tally.present.total()
    assert await stored(backend, records) == made(records, commits)


async def test_two_imports_at_once_store_and_count_everything_once(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    repository.commit_many(25)

    (one, project, records), (other, same_project, _) = await asyncio.gather(
        import_all(repository, backend), import_all(repository, backend)
    )

    assert project == same_project == await backend.projects.get(project.id)
    everything = {**dict.fromkeys(KINDS, 25), "projects": 1, "agents hired": 3}
    assert one.written + other.written == one.present + other.present == everything
    assert await stored(backend, records) == made(*await read(repository))


@ON_ONE_DATABASE
async def test_two_repositories_with_the_same_commits_are_two_projects(
    repository: GitRepository, backend: TransactionalBackend, tmp_path: Path
) -> None:
    repository.commit_many(3)
    copy = tmp_path / "copy" / "repository"
    repository.run("clone", "--quiet", "--no-local", str(repository.folder), str(copy))

    _, one, _ = await import_all(repository, backend)
    tally, other, _ = await import_all(GitRepository(copy), backend)

    assert (one.name, one.id == other.id) == (other.name, False)
    assert tally.present.total() == 0
    for project in (one, other):
        assert len(await backend.tasks.list_tasks(project=project.id)) == 3


@ON_ONE_DATABASE
async def test_the_history_is_read_as_it_is_saved(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    """At no time more is held than one unit of work, which a commit of many files fills alone."""
    repository.commit_many(21)
    head = repository.run("rev-parse", "main")
    many_files = {b"%d" % number: b"" for number in range(RECORDS_OF_TEN_COMMITS)}
    repository.commit(parents=[head], files=many_files)
    opened = await open_repository(repository.folder)
    read = most_held = 0
    saved: list[int] = []

    async def commits() -> AsyncIterator[Commit]:
        nonlocal read, most_held
        async for commit in GitLog(opened).commits():
            read += 1
            most_held = max(most_held, read - sum(saved))
            yield commit

    importer = Importer(backend, Records(opened), RECORDS_OF_TEN_COMMITS)
    await importer.run(commits(), saved.append)

    assert saved == [1, 10, 10, 1]
    assert most_held == 10


async def test_a_database_that_is_lost_ends_the_import_with_its_error(
    repository: GitRepository,
) -> None:
    repository.commit_many(20)
    opened = await open_repository(repository.folder)
    backend = create_backend(PersistenceConfig.from_url("sqlite://"))
    await backend.connect()
    await backend.migrate()

    async def commits() -> AsyncIterator[Commit]:
        async for commit in GitLog(opened).commits():
            if commit.title == "Commit 1":
                await backend.disconnect()
            yield commit

    importer = Importer(backend, Records(opened), RECORDS_OF_TEN_COMMITS)
    with pytest.raises(PersistenceError, match="not connected"):
        await importer.run(commits(), lambda _: None)


async def test_text_of_every_kind_is_stored(
    repository: GitRepository, backend: TransactionalBackend
) -> None:
    parents: tuple[str, ...] = ()
    for message, author in TEXT_OF_EVERY_KIND.values():
        path = message.replace(b"/", b"")[:200] or b"\n"
        parents = (repository.commit(message, author=author, parents=parents, files={path: b""}),)

    tally, _, records = await import_all(repository, backend)

    _, commits = await read(repository)
    assert len(commits) == tally.written["tasks"] == len(TEXT_OF_EVERY_KIND)
    assert await stored(backend, records) == made(records, commits)
    hirings = await backend.lifecycle_events.list_events()
    assert {event.agent_id for event in hirings} == {commit.author.identity for commit in commits}
    possible = [records.hiring(commit) for commit in commits]
    assert all(event in possible for event in hirings)
