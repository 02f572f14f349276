"""The main job: a repository's history in a database, read back through the repositories."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_history import COMMITS_AT_ONCE, Importer, main
from git_log import Commit, GitLog, open_repository
from git_records import Records

from synthorg.entities import (
    AgentLifecycleEvent,
    LifecycleEventType,
    Project,
    TaskStatus,
)
from synthorg.persistence import (
    PersistenceBackend,
    PersistenceConfig,
    PersistenceError,
    create_backend,
)
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.examples import EXAMPLES
from tests.examples.git_repositories import ANN, BOB, ISOLATED, GitRepository

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


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ISOLATED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(DATABASE_URL_VARIABLE, raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "repository")


async def import_all(
    repository: GitRepository, backend: PersistenceBackend
) -> tuple[Importer, Project, Records]:
    opened = await open_repository(repository.folder)
    records = Records(opened)
    importer = Importer(backend, records)
    project = await importer.run(GitLog(opened).commits(), lambda _: None)
    return importer, project, records


async def everything(backend: PersistenceBackend, project: Project, channel: str) -> set[object]:
    """All that the database holds, as far as it can be listed."""
    return {
        project.model_dump_json(),
        *await backend.tasks.list_tasks(),
        *(message.model_dump_json() for message in await backend.messages.get_history(channel)),
        *(event.model_dump_json() for event in await backend.lifecycle_events.list_events()),
        *await backend.task_metrics.query(),
        *await backend.artifacts.list_artifacts(),
    }


async def test_a_history_becomes_a_project_with_all_that_belongs_to_it(
    repository: GitRepository, backend: PersistenceBackend
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

    importer, project, records = await import_all(repository, backend)

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
    assert importer.written == {
        "projects": 1,
        "agents hired": 2,
        "tasks": 3,
        "messages": 3,
        "metrics": 3,
        "artifacts": 4,
    }
    assert not importer.present.total()


async def test_a_second_import_adds_nothing_and_a_third_only_what_is_new(
    repository: GitRepository, backend: PersistenceBackend
) -> None:
    repository.commit_many(70)
    first, project, records = await import_all(repository, backend)
    stored = await everything(backend, project, records.channel)

    second, again, _ = await import_all(repository, backend)

    assert again == project
    assert second.written.total() == 0
    assert second.present == first.written
    assert await everything(backend, project, records.channel) == stored

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
    assert await everything(backend, project, records.channel) > stored


async def test_an_interrupted_import_is_completed_by_the_next(
    repository: GitRepository, backend: PersistenceBackend
) -> None:
    repository.commit_many(COMMITS_AT_ONCE + 5)
    opened = await open_repository(repository.folder)
    records = Records(opened)

    async def interrupted() -> AsyncIterator[Commit]:
        async for commit in GitLog(opened).commits():
            if commit.title == "Commit 5":
                await backend.messages.save(records.message(commit))
                raise KeyboardInterrupt
            yield commit

    with pytest.raises(KeyboardInterrupt):
        await Importer(backend, records).run(interrupted(), lambda _: None)

    importer, _, _ = await import_all(repository, backend)

    assert importer.written["tasks"] == importer.written["metrics"] == 5
    assert (importer.written["messages"], importer.present["messages"]) == (4, COMMITS_AT_ONCE + 1)
    assert len(await backend.tasks.list_tasks()) == COMMITS_AT_ONCE + 5
    assert len(await backend.messages.get_history(records.channel)) == COMMITS_AT_ONCE + 5


async def test_a_record_that_was_changed_in_the_database_is_put_right(
    repository: GitRepository, backend: PersistenceBackend
) -> None:
    repository.commit()
    _, _, records = await import_all(repository, backend)
    [task] = await backend.tasks.list_tasks()
    await backend.tasks.save(task.model_copy(update={"title": "changed"}))

    importer, _, _ = await import_all(repository, backend)

    assert await backend.tasks.get(task.id) == task
    assert importer.written == {"tasks": 1}
    assert importer.present == {"projects": 1, "agents hired": 1, "messages": 1, "metrics": 1}
    assert len(await backend.messages.get_history(records.channel)) == 1


async def test_two_repositories_with_the_same_commits_are_two_projects(
    repository: GitRepository, backend: PersistenceBackend, tmp_path: Path
) -> None:
    repository.commit_many(3)
    copy = tmp_path / "copy" / "repository"
    repository.run("clone", "--quiet", "--no-local", str(repository.folder), str(copy))

    _, one, _ = await import_all(repository, backend)
    importer, other, _ = await import_all(GitRepository(copy), backend)

    assert (one.name, one.id == other.id) == (other.name, False)
    assert importer.present.total() == 0
    for project in (one, other):
        assert len(await backend.tasks.list_tasks(project=project.id)) == 3


async def test_the_history_is_read_as_it_is_saved(
    repository: GitRepository, backend: PersistenceBackend
) -> None:
    """At no time more commits are held than one batch."""
    repository.commit_many(3 * COMMITS_AT_ONCE + 1)
    opened = await open_repository(repository.folder)
    read = saved = most_held = 0

    async def commits() -> AsyncIterator[Commit]:
        nonlocal read, most_held
        async for commit in GitLog(opened).commits():
            read += 1
            most_held = max(most_held, read - saved)
            yield commit

    def advance(number: int) -> None:
        nonlocal saved
        saved += number

    await Importer(backend, Records(opened)).run(commits(), advance)

    assert read == saved == 3 * COMMITS_AT_ONCE + 1
    assert most_held == COMMITS_AT_ONCE


async def test_a_database_that_is_lost_ends_the_import_with_its_error(
    repository: GitRepository,
) -> None:
    repository.commit_many(2 * COMMITS_AT_ONCE)
    opened = await open_repository(repository.folder)
    backend = create_backend(PersistenceConfig.from_url("sqlite://"))
    await backend.connect()
    await backend.migrate()

    async def commits() -> AsyncIterator[Commit]:
        async for commit in GitLog(opened).commits():
            if commit.title == "Commit 1":
                await backend.disconnect()
            yield commit

    with pytest.raises(PersistenceError, match="not connected"):
        await Importer(backend, Records(opened)).run(commits(), lambda _: None)


@pytest.mark.parametrize("kind", TEXT_OF_EVERY_KIND)
async def test_text_of_every_kind_is_stored(
    repository: GitRepository, backend: PersistenceBackend, kind: str
) -> None:
    message, author = TEXT_OF_EVERY_KIND[kind]
    path = message.replace(b"/", b"")[:200] or b"\n"
    repository.commit(message, author=author, files={path: b""})

    importer, project, records = await import_all(repository, backend)

    opened = await open_repository(repository.folder)
    [commit] = [commit async for commit in GitLog(opened).commits()]
    assert await backend.tasks.list_tasks(project=project.id) == (records.task(commit),)
    assert await backend.messages.get_history(records.channel) == (records.message(commit),)
    assert await backend.task_metrics.query() == (records.metric(commit),)
    assert await backend.artifacts.list_artifacts() == tuple(records.artifacts(commit))
    hirings: tuple[AgentLifecycleEvent, ...] = await backend.lifecycle_events.list_events()
    assert hirings == (records.hiring(commit),)
    assert importer.written.total() == 6


def run_script(
    *arguments: str | Path, cwd: Path, script: Path = EXAMPLES / "git_history.py"
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, script, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def rows(output: str, title: str) -> Iterator[list[str]]:
    """Read the rows of a table that was printed."""
    lines = output[output.index(title) :].splitlines()
    for line in lines[4:]:
        if not line.startswith("│"):
            return
        yield [cell.strip() for cell in line.strip("│").split("│")]


def test_the_script_answers_from_the_database_and_adds_nothing_when_run_again(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit_many(210)
    head = repository.run("rev-parse", "main")
    repository.commit(
        b"Danger \x1b[2J\xff\n",
        author=b"Ann <ann@example.org> 1700000000 +0100",
        committer=b"Ann <ann@example.org> 1700090061 +051800",
        parents=[head],
        files={b"odd\nname": b""},
    )

    first = run_script(repository.folder, cwd=tmp_path)
    second = run_script(repository.folder, "--database", "sqlite:///git-history.db", cwd=tmp_path)

    assert (first.returncode, first.stderr) == (second.returncode, second.stderr) == (0, "")
    assert "using sqlite:///git-history.db, a file in the current folder" in first.stdout
    assert "\x1b" not in first.stdout
    for answer in (first.stdout, second.stdout):
        assert "Reading repository (211 commits) into sqlite:///git-history.db" in answer
        newest = list(rows(answer, "Newest messages"))
        assert newest[0] == ["2023-11-15 23:14", "Ann", "Danger \\x1b[2J�"]
        assert [row[2] for row in newest[1:]] == [f"Commit {210 - index}" for index in range(9)]
        assert list(rows(answer, "Tasks per author")) == [
            ["Author 0", "70", "70", "2020-09-13", "2020-09-13", "0:01:46"],
            ["Author 1", "70", "70", "2020-09-13", "2020-09-13", "0:01:44"],
            ["Author 2", "70", "70", "2020-09-13", "2020-09-13", "0:01:46"],
            ["Ann", "1", "11", "2023-11-15", "2023-11-15", "1 day, 1:01:01"],
        ]
        assert ["file0.py", "22"] in rows(answer, "Files most often changed")
        assert list(rows(answer, "Most reviews")) == [["Ann", "210"]]
        assert list(rows(answer, "First and last activity")) == [
            ["First", "2020-09-13 12:27", "Author 1", "Commit 1"],
            ["Last", "2023-11-15 23:14", "Ann", "Danger \\x1b[2J�"],
        ]
        assert "1 texts held bytes that are no UTF-8" in answer
        assert "1 times were malformed or out of range" in answer
    assert list(rows(first.stdout, "Records")) == [
        ["agents hired", "4", "0"],
        ["artifacts", "221", "0"],
        ["messages", "211", "0"],
        ["metrics", "211", "0"],
        ["projects", "1", "0"],
        ["tasks", "211", "0"],
    ]
    assert "Wrote 859 records, 0 were already there" in first.stdout
    assert "Wrote 0 records, 859 were already there" in second.stdout
    assert re.search(r"it took [\d.]+ s \([\d,]+ records per second\)", first.stdout)


def test_the_script_reads_the_checkout_that_it_is_in_unless_told_otherwise(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit(b"in the checkout")
    folder = repository.folder / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))

    done = run_script("--database", "sqlite://", cwd=tmp_path, script=folder / "git_history.py")

    assert (done.returncode, done.stderr) == (0, "")
    assert next(rows(done.stdout, "Newest messages"))[2] == "in the checkout"


def test_the_database_comes_from_the_environment_when_it_is_named_there(
    repository: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.commit()
    monkeypatch.setenv(DATABASE_URL_VARIABLE, f"sqlite:///{tmp_path / 'environment.db'}")

    assert main([str(repository.folder)]) == 0

    with closing(sqlite3.connect(tmp_path / "environment.db")) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchall() == [(1,)]
    assert "environment.db" in capsys.readouterr().out


def test_a_repository_without_commits_is_no_failure_and_makes_no_database(
    repository: GitRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    assert main([str(repository.folder), "--database", url]) == 0

    assert "repository has no commits yet" in capsys.readouterr().out
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{tmp}/plain", "--database", "sqlite://"], "not a git repository"),
        (["{tmp}/nowhere", "--database", "sqlite://"], "No such file or directory"),
        (["{tmp}/a\nb", "--database", "sqlite://"], r"a\\nb"),
        (["{tmp}/repository", "--database", "sqlite:///{tmp}/no/such.db"], "no/such.db"),
        (["{tmp}/repository", "--database", "sqlite:///{tmp}/plain"], "plain"),
        (["{tmp}/repository", "--database", "nonsense"], "database cannot be used: url must look"),
        (["{tmp}/repository", "--database", "oracle://u:secret@h/d"], "database cannot be used"),
        (["{tmp}/repository", "--database", "mysql://u:secret@h:x/d"], "database cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    repository: GitRepository,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    repository.commit()
    (tmp_path / "plain").mkdir()

    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2

    error = capsys.readouterr().err
    assert re.fullmatch(rf"git_history: [^\n]*{problem}[^\n]*\n", error)
    assert "secret" not in error


def test_a_missing_git_is_said(
    repository: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main([str(repository.folder), "--database", "sqlite://"]) == 2

    assert capsys.readouterr().err == "git_history: git is not installed, or not on the PATH\n"


def test_output_that_the_terminal_cannot_show_is_replaced(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("Käse \U0001f9c0\n".encode())
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = (sys.executable, EXAMPLES / "git_history.py", repository.folder)

    done = subprocess.run(
        (*command, "--database", "sqlite://"), cwd=tmp_path, capture_output=True, check=True
    )

    assert b"K?se ?" in done.stdout
