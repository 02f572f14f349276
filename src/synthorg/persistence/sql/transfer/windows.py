"""Which records of a span of time there are: by the own time of each kind that has one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Table

from synthorg.persistence.sql.repositories import repository_over
from synthorg.persistence.sql.repositories.base import ListedRepository
from synthorg.persistence.sql.tables import own_time


@dataclass(frozen=True)
class Window:
    """A span of time, both ends in it.

    Attributes:
        since: Its beginning; without it, all of before.
        until: Its end; without it, all of after.
    """

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether it has neither end."""
        return self.since is None and self.until is None

    def conditions(self, table: Table) -> Sequence[ColumnElement[bool]]:
        """Build the conditions for the records of it; none where they have no time of their own.

        Args:
            table: The table.
        """
        time = time_of(table)
        if time is None:
            return ()
        found = []
        if self.since is not None:
            found.append(time >= self.since)
        if self.until is not None:
            found.append(time <= self.until)
        return found


def time_of(table: Table) -> Column[Any] | None:
    """Find the column with the own time of a kind, also of one of an extension.

    Args:
        table: Its table.
    """
    own = own_time(table)
    if own is not None:
        return own
    repository = repository_over(table)
    if repository is None or not issubclass(repository, ListedRepository):
        return None
    name = repository.listing.time
    return None if name is None else table.columns[name]
