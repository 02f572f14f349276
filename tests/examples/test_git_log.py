"""Reading git: what a commit says comes out right, whatever bytes it holds."""

import asyncio
import os
import re
import shutil
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_log import Commit, GitError, GitLog, count_commits, open_repository
from git_records import Records
from hypothesis import given, settings
from hypothesis import strategies as st

from synthorg.entities import ArtifactType, Complexity
from synthorg.entities.base import EARLIEST_TIME, LATEST_TIME, LONGEST_KEY
from tests.examples.git_repositories import ANN, GitRepository

BYTES = st.binary(max_size=60).map(lambda raw: raw.replace(b"\0", b""))
NAMES = st.one_of(BYTES, st.text(max_size=40).map(lambda text: text.encode(errors="ignore"))).map(
    lambda raw: re.sub(rb"[\0\n<>]", b"", raw)
)
PATHS = BYTES.map(lambda raw: raw.replace(b"/", b"")).filter(
    lambda raw: raw not in {b"", b".", b".."} and b"git" not in raw.lower()
)
NASTY_MESSAGES = st.sampled_from(
    [
        b"",
        b"\n\n \n",
        b"title\n\n:100644 100644 aaa bbb M\n",
        b"commit 0123\ntree 4\n\nauthor x\n",
        b"    indented\n\n\n\n  twice\n",
        b"\xff\xfe\x00utf-16".replace(b"\0", b""),
        b"dos\r\n\r\nbody\r\n",
        b"\x1b[31mred\x1b[0m \x07\x08",
        b"long " * 30_000,
    ]
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """One repository for all examples of a property, each of which replaces its only branch."""
    return GitRepository(tmp_path_factory.mktemp("scratch"))


async def read(folder: Path) -> tuple[list[Commit], GitLog]:
    """Read everything, and check that each commit makes records that entities accept."""
    repository = await open_repository(folder)
    log = GitLog(repository)
    commits = [commit async for commit in log.commits()]
    assert len(commits) == await count_commits(repository)
    records = Records(repository)
    for commit in commits:
        records.task(commit)
        records.message(commit)
        records.metric(commit)
        records.hiring(commit)
        assert len({artifact.id for artifact in records.artifacts(commit)}) == len(commit.changes)
    return commits, log


async def read_one(repository: GitRepository) -> tuple[Commit, GitLog]:
    [commit], log = await read(repository.folder)
    return commit, log


def replace_git(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a shell script in the place of git."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def visible(text: str) -> str:
    return "".join(text.split())


@given(
    message=st.one_of(BYTES, NASTY_MESSAGES),
    name=NAMES,
    address=NAMES,
    paths=st.sets(PATHS, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_and_only_what_is_no_utf8_is_replaced(
    scratch: GitRepository, message: bytes, name: bytes, address: bytes, paths: set[bytes]
) -> None:
    author = b"%s <%s> 1700000000 +0100" % (name, address)
    made = scratch.commit(message, author=author, files=dict.fromkeys(paths, b"content"))

    commit, log = asyncio.run(read_one(scratch))

    assert commit.hash == made
    assert visible(commit.title + commit.body) == visible(message.decode(errors="replace"))
    assert {change.path_bytes for change in commit.changes} == paths
    assert all(change.path.strip() for change in commit.changes)
    assert 0 < len(commit.author.identity) <= LONGEST_KEY
    assert commit.authored_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    given_texts = (message, name, address, *paths)
    assert log.mended_texts == sum("\ufffd" in raw.decode(errors="replace") for raw in given_texts)
    assert log.mended_times == 0


async def test_a_commit_tells_who_did_what_when_on_their_clocks(repository: GitRepository) -> None:
    first = repository.commit(b"Start\n", files={b"a.py": b"1"})
    repository.commit(
        b"Add a feature\nin two lines\n\nBecause.\n\nReviewed-by: Cy <cy@example.org>\n",
        parents=[first],
        files={b"a.py": b"2"},
    )

    [commit, start], _ = await read(repository.folder)

    assert commit.parents == (first,) == (start.hash,)
    assert (commit.title, commit.body.partition("\n")[0]) == (
        "Add a feature in two lines",
        "Because.",
    )
    assert (commit.author.identity, commit.author.name) == ("ann@example.org", "Ann")
    assert commit.committer.name == "Bob"
    assert [reviewer.name for reviewer in commit.reviewers] == ["Cy"]
    assert commit.authored_at.isoformat() == "2023-11-14T23:13:20+01:00"
    assert commit.committed_at.isoformat() == "2023-11-14T17:43:20-05:30"


@pytest.mark.parametrize(
    ("line", "moment", "mended"),
    [
        (b"A <a> -86400 +0000", datetime(1969, 12, 31, tzinfo=UTC), 0),
        (b"A <a> -99999999999999 +0000", EARLIEST_TIME, 1),
        (b"A <a> 99999999999999 +0000", LATEST_TIME.replace(microsecond=0), 1),
        (b"A <a> 1700000000 +051800", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1),
        (b"A <a> 1700000000 +9999", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1),
        (b"A <a> 1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1),
        (b"A <a> 1700000000 -2359", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 0),
        (b"A <a> 9" + b"9" * 5000 + b" +0000", datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC), 1),
        (b"A <a> yesterday", datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC), 1),
        (b"A", datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC), 1),
    ],
)
async def test_a_time_out_of_range_or_malformed_is_mended_and_counted(
    repository: GitRepository, line: bytes, moment: datetime, mended: int
) -> None:
    repository.commit(author=line)

    commit, log = await read_one(repository)

    assert commit.authored_at == moment
    assert log.mended_times == mended


async def test_a_commit_without_any_header_is_of_nobody_and_of_the_epoch(
    repository: GitRepository,
) -> None:
    repository.commit_exactly(b"tree %s\n\nhello" % repository.tree({}).encode())

    commit, log = await read_one(repository)

    assert commit.author.name == commit.committer.name == "nobody"
    assert commit.authored_at == commit.committed_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert (commit.title, log.mended_times) == ("hello", 2)


async def test_a_header_may_look_like_a_list_of_files(repository: GitRepository) -> None:
    repository.commit(headers=b":100644 x\ncommit y\nparent z\xff\n", files={b"file": b""})

    commit, _ = await read_one(repository)

    assert (commit.title, commit.parents) == ("Change", ())
    assert [change.path for change in commit.changes] == ["file"]


async def test_a_message_with_a_nul_byte_ends_there(repository: GitRepository) -> None:
    """Git itself says no more than that; what matters is that the next commit is read right."""
    first = repository.commit(b"first")
    repository.commit(b"be\0fore", parents=[first], files={b"file": b""})

    [commit, before], _ = await read(repository.folder)

    assert (commit.title, commit.changes[0].path, before.title) == ("be", "file", "first")


async def test_a_declared_encoding_is_honoured(repository: GitRepository) -> None:
    repository.commit(
        "Käse\n".encode("latin-1"),
        author="Zoë <z@example.org> 1 +0000".encode("latin-1"),
        headers=b"encoding ISO-8859-1\n",
    )

    commit, log = await read_one(repository)

    assert (commit.title, commit.author.name, log.mended_texts) == ("Käse", "Zoë", 0)


@pytest.mark.parametrize("encoding", [b"no-such-encoding", b"idna", b"\xff\xfe", b""])
async def test_an_encoding_that_does_not_help_leaves_the_bytes(
    repository: GitRepository, encoding: bytes
) -> None:
    repository.commit(b"K\xe4se\n", headers=b"encoding %s\n" % encoding)

    commit, log = await read_one(repository)

    assert (commit.title, log.mended_texts) == ("K\ufffdse", 1)


async def test_people_whose_names_look_alike_when_replaced_are_told_apart(
    repository: GitRepository,
) -> None:
    first = repository.commit(author=b"Ren\xe9 <> 1 +0000")
    repository.commit(author=b"Ren\xe8 <> 1 +0000", parents=[first])

    [one, other], _ = await read(repository.folder)

    assert one.author.name == other.author.name == "Ren\ufffd"
    assert one.author.identity != other.author.identity


async def test_long_addresses_that_differ_at_the_end_are_told_apart(
    repository: GitRepository,
) -> None:
    reviews = b"".join(b"Reviewed-by: R <%s%d>\n" % (b"r" * 300, index) for index in (1, 2))
    repository.commit(b"title\n\n" + reviews)

    commit, _ = await read_one(repository)

    assert len({reviewer.identity for reviewer in commit.reviewers}) == 2


async def test_reviewers_come_from_the_trailers_only(repository: GitRepository) -> None:
    repository.commit(
        b"Reviewed-by: Title <title@example.org>\n\n"
        b"Text about Reviewed-by: inside a line\n\n"
        b"Signed-off-by: S <s@example.org>\nreviewed-BY:R <r@example.org> # v2\n"
        b"Acked-by: A <a@example.org>\nTested-by: T\nReviewed-by:\nAcked-by: <>\n"
    )

    commit, _ = await read_one(repository)

    identities = [reviewer.identity for reviewer in commit.reviewers]
    assert identities == ["r@example.org", "a@example.org", "T"]


async def test_every_kind_of_change_is_told(repository: GitRepository) -> None:
    content = b"".join(b"%d\n" % line for line in range(100))
    blob = repository.run("hash-object", "-w", "--stdin", stdin=content)
    first = repository.commit(files={b"kept": b"1", b"gone": b"2", b"old": content})
    tree = repository.run(
        "mktree",
        "-z",
        stdin=b"100644 blob %s\tkept\0" % repository.run("hash-object", "-w", "--stdin").encode()
        + b"100644 blob %s\tnew\nname\0" % blob.encode()
        + b"120000 blob %s\tlink\0" % blob.encode()
        + b"160000 commit %s\tmodule\0" % first.encode(),
    )
    repository.commit(parents=[first], tree=tree)

    [commit, root], _ = await read(repository.folder)

    assert {change.path: change.action for change in root.changes} == {
        "kept": "added",
        "gone": "added",
        "old": "added",
    }
    assert {change.path: (change.kind, change.action) for change in commit.changes} == {
        "kept": ("file", "modified"),
        "gone": ("file", "deleted"),
        "new\nname": ("file", "renamed from old"),
        "link": ("symbolic link", "added"),
        "module": ("submodule", "added"),
    }


async def test_a_merge_lists_only_what_it_changed_itself(repository: GitRepository) -> None:
    base = repository.commit(files={b"conflict": b"0", b"left": b"0", b"right": b"0"})
    left = repository.commit(parents=[base], files={b"conflict": b"1", b"left": b"1"})
    right = repository.commit(parents=[base], files={b"conflict": b"2", b"left": b"0"})
    repository.commit(
        b"merge", parents=[left, right], files={b"conflict": b"3", b"left": b"1", b"x": b"new"}
    )

    commits, _ = await read(repository.folder)

    merge = next(commit for commit in commits if commit.title == "merge")
    assert merge.parents == (left, right)
    assert {change.path: change.action for change in merge.changes} == {
        "conflict": "merged",
        "x": "merged",
    }


async def test_a_parent_named_twice_is_one_dependency(repository: GitRepository) -> None:
    first = repository.commit()
    repository.commit(parents=[first, first])

    [commit, before], _ = await read(repository.folder)

    records = Records(await open_repository(repository.folder))
    assert records.task(commit).dependencies == (records.task(before).id,)


async def test_equal_times_are_a_task_that_took_no_time(repository: GitRepository) -> None:
    repository.commit(author=ANN, committer=ANN)

    commit, _ = await read_one(repository)

    metric = Records(await open_repository(repository.folder)).metric(commit)
    assert (metric.started_at, metric.duration_seconds) == (None, 0)


async def test_files_are_told_apart_by_what_they_are_for(repository: GitRepository) -> None:
    names = (b"test_a.py", b"README", b"guide.md", b"main.py", b"//[.png")
    repository.commit(files={name.replace(b"/", b"\\"): b"" for name in names})

    commit, _ = await read_one(repository)

    records = Records(await open_repository(repository.folder))
    artifacts = {artifact.path: artifact for artifact in records.artifacts(commit)}
    assert {path: artifact.type for path, artifact in artifacts.items()} == {
        "test_a.py": ArtifactType.TESTS,
        "README": ArtifactType.DOCUMENTATION,
        "guide.md": ArtifactType.DOCUMENTATION,
        "main.py": ArtifactType.CODE,
        "\\\\[.png": ArtifactType.CODE,
    }
    assert artifacts["\\\\[.png"].content_type == "image/png"
    assert records.task(commit).estimated_complexity is Complexity.MEDIUM


async def test_all_branches_and_tags_are_read_but_no_stash_notes_or_replacements(
    repository: GitRepository,
) -> None:
    main = repository.commit(b"main")
    side = repository.commit(b"side", branch="side")
    repository.run("tag", "-a", "-m", "tag", "v1", repository.commit(b"tagged", branch="gone"))
    repository.run("tag", "a-file", repository.run("hash-object", "-w", "--stdin"))
    (repository.folder / ".git/refs/heads/gone").unlink()
    repository.run("notes", "add", "-m", "a note", main)
    repository.run("update-ref", "refs/stash", repository.commit(b"stash", branch="temporary"))
    (repository.folder / ".git/refs/heads/temporary").unlink()
    repository.run("replace", main, side)

    commits, _ = await read(repository.folder)

    assert {commit.title: commit.body for commit in commits} == {
        "main": "",
        "side": "",
        "tagged": "",
    }


async def test_a_detached_head_is_read_when_no_branch_leads_to_it(
    repository: GitRepository,
) -> None:
    lonely = repository.commit(b"lonely", branch="temporary")
    (repository.folder / ".git/refs/heads/temporary").unlink()
    (repository.folder / ".git/HEAD").write_text(f"{lonely}\n")

    commit, _ = await read_one(repository)

    assert commit.title == "lonely"


async def test_other_branches_are_read_while_head_is_unborn(repository: GitRepository) -> None:
    repository.commit(b"side", branch="side")

    commit, _ = await read_one(repository)

    assert commit.title == "side"


async def test_the_users_configuration_changes_nothing(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"".join(b"%d\n" % line for line in range(100))
    first = repository.commit("é\n".encode(), files={b"a": content, b"z": b"0"})
    module = repository.run("mktree", "-z", stdin=b"160000 commit %s\tmodule\0" % first.encode())
    second = repository.commit(parents=[first], files={b"b": content, b"z": b"1"})
    repository.commit(parents=[second], tree=module)
    (repository.folder / ".mailmap").write_text("Mapped <mapped@example.org> <ann@example.org>\n")
    plain, _ = await read(repository.folder)
    hostile = tmp_path / "gitconfig"
    hostile.write_text(
        "[log]\nshowSignature = true\nshowRoot = false\ndecorate = full\nabbrevCommit = true\n"
        "date = nonsense\nmailmap = true\nfollow = true\n"
        "[format]\npretty = oneline\nnotes = *\n"
        "[diff]\nrenames = false\nignoreSubmodules = all\norderFile = /nonexistent/order\n"
        "relative = true\nnoprefix = true\nexternal = false\n"
        "[i18n]\nlogOutputEncoding = ISO-8859-1\n[color]\nui = always\n[core]\npager = false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile))

    configured, _ = await read(repository.folder)

    assert configured == plain
    assert [len(commit.changes) for commit in plain] == [3, 2, 2]


async def test_the_folder_asked_for_is_read_also_inside_a_git_hook(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(b"asked for")
    other = GitRepository(tmp_path / "other")
    other.commit(b"other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.folder / ".git/objects"))

    commit, _ = await read_one(repository)

    assert commit.title == "asked for"


async def test_any_folder_and_any_work_tree_of_a_repository_is_that_repository(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit()
    folder = repository.folder / "folder"
    folder.mkdir()
    repository.run("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))

    found = [
        await open_repository(place)
        for place in (repository.folder, folder, tmp_path / "linked", repository.folder / ".git")
    ]

    assert len(set(found)) == 1
    assert (found[0].name, found[0].is_shallow) == ("repository", False)


async def test_a_bare_and_shallow_clone_is_read(repository: GitRepository, tmp_path: Path) -> None:
    first = repository.commit(b"first")
    repository.commit(b"second", parents=[first])
    clone = tmp_path / "clone.git"
    url = repository.folder.as_uri()
    repository.run("clone", "--quiet", "--bare", "--depth=1", url, str(clone))

    [commit], _ = await read(clone)

    assert (commit.title, commit.parents) == ("second", (first,))
    assert await open_repository(clone) == await open_repository(clone)
    assert (await open_repository(clone)).name == "clone"
    assert (await open_repository(clone)).is_shallow


async def test_reading_may_stop_early_and_leaves_no_process(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output left unread is more than a pipe holds, so that git would wait for ever."""
    repository.commit_many(3000)
    log = GitLog(await open_repository(repository.folder))
    replace_git(
        monkeypatch, tmp_path, f'echo $$ > "{tmp_path}/pid"; exec "{shutil.which("git")}" "$@"'
    )

    async with aclosing(log.commits()) as commits:
        newest = await anext(commits)

    assert newest.title == "Commit 3000"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_missing_objects_are_an_error(repository: GitRepository) -> None:
    first = repository.commit(files={b"a": b"1"})
    repository.commit(parents=[first], files={b"a": b"2"})
    (repository.folder / ".git/objects" / first[:2] / first[2:]).unlink()

    with pytest.raises(GitError, match="cannot read all of"):
        await read(repository.folder)


async def test_a_git_that_dies_in_the_middle_is_an_error(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words may be half a list of files, which must not be taken for all of it."""
    repository.commit()
    opened = await open_repository(repository.folder)
    words = "printf 'commit 12\\n\\n:100644 10'; echo fatal: died >&2; exit 3"
    replace_git(monkeypatch, tmp_path, words)

    with pytest.raises(GitError, match=r"cannot read all of .*: died"):
        [commit async for commit in GitLog(opened).commits()]
