"""Makes git repositories of any content, below all checks that git makes for people."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

ANN = b"Ann <ann@example.org> 1700000000 +0100"
BOB = b"Bob <bob@example.org> 1700003600 -0530"

ISOLATED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Bob",
    "GIT_COMMITTER_EMAIL": "bob@example.org",
}
"""What keeps the configuration of this machine out."""


class GitRepository:
    """A new repository on the branch `main`, without any commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._names = count()
        self.run("init", "--quiet")
        self.run("symbolic-ref", "HEAD", "refs/heads/main")

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git in the repository, and return what it says."""
        command = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(
            command, input=stdin, env=os.environ | ISOLATED, check=True, capture_output=True
        )
        return done.stdout.decode("ascii").strip()

    def tree(self, files: Mapping[bytes, bytes]) -> str:
        """Store a flat folder of files."""
        entries = b"".join(
            b"100644 blob %s\t%s\0" % (self._blob(content), path) for path, content in files.items()
        )
        return self.run("mktree", "-z", stdin=entries)

    def commit(
        self,
        message: bytes = b"Change\n",
        *,
        author: bytes = ANN,
        committer: bytes = BOB,
        parents: Sequence[str] = (),
        files: Mapping[bytes, bytes] | None = None,
        tree: str | None = None,
        headers: bytes = b"",
        branch: str = "main",
    ) -> str:
        """Commit exactly these bytes to a branch, and return the commit's hash."""
        tree = self.tree({} if files is None else files) if tree is None else tree
        content = b"tree %s\n" % tree.encode()
        content += b"".join(b"parent %s\n" % parent.encode() for parent in parents)
        content += b"author %s\ncommitter %s\n%s\n%s" % (author, committer, headers, message)
        return self.commit_exactly(content, branch=branch)

    def commit_exactly(self, content: bytes, *, branch: str = "main") -> str:
        """Store a commit object, well formed or not, and return its hash."""
        made = self.run(
            "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=content
        )
        # Written by hand, since git refuses to point a branch to some of them.
        head = self.folder / ".git" / "refs" / "heads" / branch
        head.write_text(f"{made}\n")
        return made

    def commit_many(self, number: int) -> None:
        """Commit a line of history of this length, one file each, of three authors."""
        stream = bytearray()
        for index in range(1, number + 1):
            author = b"Author %d <author%d@example.org>" % (index % 3, index % 3)
            when = 1_600_000_000 + index * 60
            message = b"Commit %d\n\nReviewed-by: Ann <ann@example.org>\n" % index
            stream += b"commit refs/heads/main\nauthor %s %d +0000\n" % (author, when)
            stream += b"committer %s %d +0000\n" % (author, when + index)
            stream += b"data %d\n%s\n" % (len(message), message)
            stream += b"M 100644 inline file%d.py\ndata %d\n" % (index % 10, len(str(index)))
            stream += b"%d\n\n" % index
        self.run("fast-import", "--quiet", stdin=bytes(stream))

    def _blob(self, content: bytes) -> bytes:
        return self.run("hash-object", "-w", "--stdin", stdin=content).encode()
