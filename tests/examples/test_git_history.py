"""The script: what it says about a history, and what it says when it cannot."""

import io
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import git_history
import git_report
import pytest
from git_history import main

from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.examples import EXAMPLES
from tests.examples.git_repositories import GitRepository


def rows(output: str, title: str) -> Iterator[list[str]]:
    """Read the rows of a table that was printed."""
    lines = output[output.index(title) :].splitlines()
    for line in lines[4:]:
        if not line.startswith("│"):
            return
        yield [cell.strip() for cell in line.strip("│").split("│")]


def test_the_script_answers_from_the_database_and_adds_nothing_when_run_again(
    repository: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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

    monkeypatch.chdir(tmp_path)
    script = subprocess.run(
        (sys.executable, EXAMPLES / "git_history.py", repository.folder),
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    first = script.stdout
    namesake = GitRepository(tmp_path / "other")
    namesake.commit(author=b"Namesake <ann@example.org> 1 +0000", files={b"file0.py": b""})
    assert main([str(namesake.folder), "--database", "sqlite:///git-history.db"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(git_report, "METRICS_AT_ONCE", 30)
    exit_code = main([str(repository.folder), "--database", "sqlite:///git-history.db"])
    second, complaints = capsys.readouterr()

    assert (script.returncode, script.stderr) == (exit_code, complaints) == (0, "")
    assert "using sqlite:///git-history.db, a file in the current folder" in first
    assert "\x1b" not in first
    for answer in (first, second):
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
    assert list(rows(first, "Records")) == [
        ["agents hired", "4", "0"],
        ["artifacts", "221", "0"],
        ["messages", "211", "0"],
        ["metrics", "211", "0"],
        ["projects", "1", "0"],
        ["tasks", "211", "0"],
    ]
    assert "Wrote 859 records, 0 were already there" in first
    assert "Wrote 0 records, 859 were already there" in second
    assert re.search(r"it took [\d.]+ s \([\d,]+ records per second\)", first)


def test_the_script_reads_the_checkout_that_it_is_in_unless_told_otherwise(
    repository: GitRepository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.commit(b"in the checkout")
    folder = repository.folder / "examples"
    folder.mkdir()
    monkeypatch.setattr(git_history, "__file__", str(folder / "git_history.py"))

    assert main(["--database", "sqlite://"]) == 0

    answer, complaints = capsys.readouterr()
    assert not complaints
    assert next(rows(answer, "Newest messages"))[2] == "in the checkout"


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
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("Käse \U0001f9c0\n".encode())
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))

    assert main([str(repository.folder), "--database", "sqlite://"]) == 0

    sys.stdout.flush()
    assert b"K?se ?" in output.getvalue()
