"""Noticing that the file of an open SQLite database was deleted, moved or replaced.

SQLite goes on in a file that has no name any more, and what it stores there is lost.
"""

import os
import sqlite3
from typing import Final

Identity = tuple[int, int] | None
"""What tells one file from another, whatever its name; None for no file."""

LOG_SUFFIX: Final = "-wal"


class FileMovedError(sqlite3.OperationalError):
    """At the path of a database that is open, there is another file or none.

    Args:
        is_late: Whether something was written before this was noticed.
    """

    def __init__(self, *, is_late: bool = False) -> None:
        super().__init__("the database file was deleted, moved or replaced")
        self.is_late = is_late


class FileIdentity:
    """The path of a database, and the file that all connections of one backend have open there.

    Args:
        path: The database file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: Identity = None

    def refuse_other_file(self, *, is_late: bool = False) -> None:
        """Make sure that the file is at its path; the first call, after it was opened, says which.

        Args:
            is_late: Whether something was written before.

        Raises:
            FileMovedError: If it is not.
        """
        found = _identity(self.path)
        if self._file is None:
            self._file = found
        elif found != self._file:
            raise FileMovedError(is_late=is_late)


class FileConnection(sqlite3.Connection):
    """A connection whose commits are in the file at its path, or raise."""

    identity: FileIdentity | None = None
    """Where the file is; None for a database in memory, and while a connection is set up."""

    _log: Identity = None

    def refuse_other_file(self, *, is_late: bool = False) -> None:
        """Make sure that the file is at its path, as `FileIdentity` does."""
        if self.identity is not None:
            self.identity.refuse_other_file(is_late=is_late)

    def refuse_lost_writes(self) -> None:
        """Make sure, after a commit, that whoever opens the file finds what was written.

        Raises:
            FileMovedError: If the file, or its log, is not at its path.
        """
        if self.identity is None:
            return
        self.identity.refuse_other_file(is_late=True)
        # While this connection has it open, nobody but SQLite's own last user may remove the log.
        found = _identity(self.identity.path + LOG_SUFFIX)
        if self._log is None:
            self._log = found
        elif found != self._log:
            raise FileMovedError(is_late=True)

    def note_log(self) -> None:
        """Note which log is used, as after a change of the journal mode."""
        if self.identity is not None:
            self._log = _identity(self.identity.path + LOG_SUFFIX)

    def commit(self) -> None:
        """Commit, and make sure that it lasts."""
        if not self.in_transaction:
            return
        self.refuse_other_file()
        super().commit()
        self.refuse_lost_writes()


def _identity(path: str) -> Identity:
    try:
        status = os.stat(path)  # noqa: PTH116 (it runs with every call)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
