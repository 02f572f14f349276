"""Reads the history of a git repository, commit by commit, whatever bytes it holds."""

import asyncio
import hashlib
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from synthorg.entities.base import EARLIEST_TIME, LATEST_TIME, LONGEST_KEY

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_SECOND: Final = (EARLIEST_TIME - EPOCH) // timedelta(seconds=1)
LATEST_SECOND: Final = (LATEST_TIME - EPOCH) // timedelta(seconds=1)
HOURS_IN_DAY: Final = 24
MINUTES_IN_HOUR: Final = 60

NOBODY: Final = "nobody"
"""Who wrote a commit that gives neither a name nor an address."""

SHOWN_OF_LONG_IDENTITY: Final = 200
CHUNK_BYTES: Final = 2**18

ENVIRONMENT_OF_ANOTHER_REPOSITORY: Final = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""Set inside a git hook, where they would win over the folder asked for."""

REVISIONS: Final = ("--ignore-missing", "HEAD", "--branches", "--tags", "--remotes", "--")
"""All there is, without stashes and notes; an unborn HEAD counts as missing."""

SETTINGS: Final = (
    "core.quotePath=false",
    "diff.ignoreSubmodules=none",
    "diff.relative=false",
    "diff.renameLimit=1000",
    "diff.renames=true",
    "i18n.logOutputEncoding=UTF-8",
    "log.abbrevCommit=false",
    "log.date=default",
    "log.mailmap=false",
    "log.showRoot=true",
    "log.showSignature=false",
)
"""What the user's own configuration must not decide."""

LOG: Final = (
    *("log", "-z", "--pretty=raw", "--raw", "--no-abbrev", "--find-renames", "-c"),
    *("--encoding=UTF-8", "--no-notes", "--no-color", "--no-show-signature"),
    *("--no-ext-diff", "--no-textconv", "-O/dev/null"),
    *REVISIONS,
)
"""`raw` alone shows dates as they are stored, and it indents each line of a message by four
spaces, so that no message can look like the list of files that follows it. `-c` lists of a merge
only the files that differ from all its parents."""

ACTIONS: Final = {
    "A": "added",
    "C": "copied",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "T": "changed in type",
}

PARENT: Final = re.compile(rb"^parent ([0-9a-f]+)$", re.MULTILINE)
REVIEW: Final = re.compile(rb"^(?:Reviewed|Acked|Tested)-by:(.*)$", re.IGNORECASE | re.MULTILINE)
SECONDS: Final = re.compile(rb"-?\d{1,20}")
OFFSET: Final = re.compile(rb"([+-])(\d\d)(\d\d)")


class GitError(Exception):
    """Git is missing, or refused."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on this machine; its linked work trees are the same one."""

    location: Path
    is_shallow: bool

    @property
    def name(self) -> str:
        """What people call it: the folder's name."""
        folder = self.location.parent if self.location.name == ".git" else self.location
        name = os.fsencode(folder.name).decode(errors="replace").removesuffix(".git")
        return name if name.strip() else "repository"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody that a commit names; `identity` is at most as long as a key may be."""

    identity: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """A file that a commit changed; `path_bytes` tells apart what `path` may show alike."""

    path: str
    path_bytes: bytes
    action: str
    kind: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, with text that any database can hold and times with their own offsets."""

    hash: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    authored_at: datetime
    committed_at: datetime
    title: str
    body: str
    reviewers: tuple[Person, ...]
    changes: tuple[Change, ...]


async def open_repository(folder: Path) -> Repository:
    """Find the repository that a folder belongs to.

    Args:
        folder: The top of a work tree, any folder below it, or a bare repository.

    Returns:
        The repository.

    Raises:
        GitError: If there is none, or git is not installed.
    """
    common = await _ask(folder, "rev-parse", "--git-common-dir")
    shallow = await _ask(folder, "rev-parse", "--is-shallow-repository")
    return Repository((folder / os.fsdecode(common)).resolve(), is_shallow=shallow == b"true")


async def count_commits(repository: Repository) -> int:
    """Count the commits that a `GitLog` of the repository reads."""
    return int(await _ask(repository.location, "rev-list", "--count", *REVISIONS))


class GitLog:
    """The history of a repository, and what had to be mended to show it.

    Args:
        repository: The repository to read.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.mended_texts = 0
        """How many texts held bytes that are no UTF-8, shown as U+FFFD."""
        self.mended_times = 0
        """How many times were unreadable, or out of range and moved into it."""

    async def commits(self) -> AsyncGenerator[Commit, None]:
        """Read all commits, newest first, holding one at a time.

        Yields:
            Each commit that a branch, a tag or HEAD leads to.

        Raises:
            GitError: If git fails, for instance because objects are missing.
        """
        head = b""
        changes: list[Change] = []
        async with aclosing(self._tokens()) as tokens:
            async for token in tokens:
                if token.startswith(b":"):
                    changes.append(await self._change(token, tokens))
                elif token:
                    if head:
                        yield self._commit(head, changes)
                    head, has_changes, entry = token.partition(b"\n\n:")
                    changes = [await self._change(b":" + entry, tokens)] if has_changes else []
            if head:
                yield self._commit(head, changes)

    async def _tokens(self) -> AsyncGenerator[bytes, None]:
        """Split what git says at its NUL bytes; an unfinished token is given only at success."""
        with TemporaryFile() as complaints:
            process = await _start(self._repository.location, *LOG, stderr=complaints)
            assert process.stdout is not None
            unfinished: list[bytes] = []
            try:
                while chunk := await process.stdout.read(CHUNK_BYTES):
                    *finished, rest = chunk.split(b"\0")
                    for token in finished:
                        yield b"".join((*unfinished, token))
                        unfinished.clear()
                    unfinished.append(rest)
                if await process.wait() != 0:
                    complaints.seek(0)
                    raise GitError(
                        f"git cannot read all of {self._repository.location}: "
                        f"{_reason(complaints.read())}"
                    )
                yield b"".join(unfinished)
            finally:
                if process.returncode is None:
                    process.kill()
                await process.communicate()

    async def _change(self, entry: bytes, tokens: AsyncIterator[bytes]) -> Change:
        # https://git-scm.com/docs/git-diff#_raw_output_format and, with several colons, the
        # combined format below it: a mode and a hash for each parent, then those of the result.
        fields = entry.lstrip(b":").decode("ascii").split(" ")
        parents = len(entry) - len(entry.lstrip(b":"))
        mode = fields[parents] if int(fields[parents], 8) else fields[0]
        letter = fields[-1][0]
        path = await anext(tokens)
        if parents > 1:
            action = "merged"
        elif letter in "CR":
            action = f"{ACTIONS[letter]} from {self._text(path)}"
            path = await anext(tokens)
        else:
            action = ACTIONS.get(letter, "changed")
        text = self._text(path)
        kind = {"160000": "submodule", "120000": "symbolic link"}.get(mode, "file")
        return Change(text if text.strip() else f"./{text}", path, action, kind)

    def _commit(self, head: bytes, changes: list[Change]) -> Commit:
        header, _, indented = head.partition(b"\n\n")
        fields: dict[bytes, bytes] = {}
        for line in header.split(b"\n"):
            key, _, value = line.partition(b" ")
            fields.setdefault(key, value)
        author, authored_at = self._signature(fields.get(b"author", b""))
        committer, committed_at = self._signature(fields.get(b"committer", b""))
        message = b"\n".join(line.removeprefix(b"    ") for line in indented.split(b"\n"))
        subject, _, body = self._text(message).strip().partition("\n\n")
        trailers = message.partition(b"\n\n")[2]
        reviewers = (self._person(value) for value in REVIEW.findall(trailers))
        return Commit(
            hash=fields[b"commit"].decode("ascii"),
            parents=tuple(parent.decode("ascii") for parent in PARENT.findall(header)),
            author=author,
            committer=committer,
            authored_at=authored_at or committed_at or EPOCH,
            committed_at=committed_at or authored_at or EPOCH,
            title=" ".join(line.strip() for line in subject.split("\n")),
            body=body.strip(),
            reviewers=tuple(person for person in reviewers if person.identity != NOBODY),
            changes=tuple(changes),
        )

    def _signature(self, line: bytes) -> tuple[Person, datetime | None]:
        """Read `Name <address> seconds offset`, of which any part may be missing."""
        end = line.rfind(b">") + 1
        person = self._person(line[:end] if end else line)
        seconds, offset, *_ = (*line[end:].split(), b"", b"")
        if not end or SECONDS.fullmatch(seconds) is None:
            self.mended_times += 1
            return person, None
        return person, self._time(int(seconds), _zone(offset))

    def _time(self, given: int, zone: timezone | None) -> datetime:
        second = min(max(given, EARLIEST_SECOND), LATEST_SECOND)
        self.mended_times += second != given or zone is None
        moment = EPOCH + timedelta(seconds=second)
        return moment if zone is None else moment.astimezone(zone)

    def _person(self, line: bytes) -> Person:
        raw_name, _, rest = line.partition(b"<")
        raw_address = rest.partition(b">")[0]
        name, address = self._text(raw_name).strip(), self._text(raw_address).strip()
        identity, raw = (address, raw_address) if address else (name or NOBODY, raw_name)
        if len(identity) > LONGEST_KEY or not _is_utf8(raw):
            digest = hashlib.sha256(raw.strip()).hexdigest()
            identity = f"{identity[:SHOWN_OF_LONG_IDENTITY]}~{digest[:32]}"
        return Person(identity, name or identity)

    def _text(self, raw: bytes) -> str:
        self.mended_texts += not _is_utf8(raw)
        return raw.decode(errors="replace")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _zone(offset: bytes) -> timezone | None:
    """Read an offset such as +0530; git itself once wrote such as +051800."""
    if (parts := OFFSET.fullmatch(offset)) is None:
        return None
    hours, minutes = int(parts[2]), int(parts[3])
    if hours >= HOURS_IN_DAY or minutes >= MINUTES_IN_HOUR:
        return None
    distance = timedelta(hours=hours, minutes=minutes)
    return timezone(-distance if parts[1] == b"-" else distance)


async def _start(
    folder: Path, *arguments: str, stderr: IO[bytes] | int = PIPE
) -> asyncio.subprocess.Process:
    settings = (argument for setting in SETTINGS for argument in ("-c", setting))
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ENVIRONMENT_OF_ANOTHER_REPOSITORY
    }
    try:
        return await asyncio.create_subprocess_exec(
            *("git", "--no-pager", "--no-replace-objects", "-C", str(folder), *settings),
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=stderr,
            limit=CHUNK_BYTES,
            env=environment | {"LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise GitError("git is not installed, or not on the PATH") from None
    except OSError as error:
        raise GitError(f"git cannot be started: {error.strerror}") from None


async def _ask(folder: Path, *arguments: str) -> bytes:
    process = await _start(folder, *arguments)
    answer, complaints = await process.communicate()
    if process.returncode != 0:
        raise GitError(f"git cannot read {folder}: {_reason(complaints)}")
    return answer.removesuffix(b"\n")


def _reason(complaints: bytes) -> str:
    """Find the line that says why git gave up; advice may stand around it."""
    lines = complaints.decode(errors="replace").splitlines()
    fatal = (line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: "))
    return next(fatal, lines[-1] if lines else "it stopped without a reason")
