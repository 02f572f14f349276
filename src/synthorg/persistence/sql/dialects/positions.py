"""How far a server has come: positions in what primaries write and replicas apply."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self


class Position(Protocol):
    """How far a server had come when it was asked."""

    @property
    def takes_writes(self) -> bool:
        """Whether the server was one that can be written to."""
        ...

    def has_reached(self, other: Self) -> bool:
        """Tell whether all is there that was there at another position, of the same database."""
        ...

    def follows(self, other: Self) -> bool:
        """Tell whether both are of the same history, rather than from before and after a failover.

        Args:
            other: The position of the server that is written to.
        """
        ...


LOG_POSITION_QUESTION: Final = (
    "SELECT pg_is_in_recovery(),"
    # Not that of the last insertion, which at the end of a page no replica reaches before the next.
    " CAST(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_flush_lsn() END AS text),"
    " CASE WHEN pg_is_in_recovery() THEN NULL"
    " ELSE substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) END,"
    " CASE WHEN pg_is_in_recovery() THEN greatest("
    "(SELECT timeline_id FROM pg_control_checkpoint()),"
    " (SELECT min_recovery_end_timeline FROM pg_control_recovery()),"
    " (SELECT max(received_tli) FROM pg_stat_wal_receiver)) END,"
    " (SELECT system_identifier FROM pg_control_system())"
)
"""Asks PostgreSQL for its position, outside of a snapshot that is looked at later.

Of a standby, what it receives, and what it has last made durable, show the timeline; the first one
to pg_read_all_stats alone.
"""


@dataclass(frozen=True)
class LogPosition:
    """A position in the write-ahead log of PostgreSQL.

    Attributes:
        takes_writes: Whether the server is no standby.
        timeline: Its history, which is another one after each promotion.
        location: The bytes of the log that were written, or replayed.
        cluster: The number that all servers have that were copied from one.
    """

    takes_writes: bool
    timeline: int
    location: int
    cluster: int

    def has_reached(self, other: Self) -> bool:
        """Tell whether all is there, as `Position` says."""
        return self.location >= other.location

    def follows(self, other: Self) -> bool:
        """Tell whether both are of the same history, as `Position` says."""
        return (self.cluster, self.timeline) == (other.cluster, other.timeline)


def log_position(answer: Sequence[Any]) -> LogPosition | None:
    """Read the answer to `LOG_POSITION_QUESTION`; None where it names none.

    Args:
        answer: The one row of it.
    """
    is_standby, location, timeline, timeline_of_standby, cluster = answer
    if location is None:
        return None
    high, _, low = str(location).partition("/")
    return LogPosition(
        takes_writes=not is_standby,
        timeline=int(timeline_of_standby) if is_standby else int(timeline, 16),
        location=(int(high, 16) << 32) + int(low, 16),
        cluster=int(cluster),
    )


GTID_QUESTION: Final = "SELECT @@gtid_slave_pos, @@gtid_binlog_pos, @@read_only"
"""Asks MariaDB for its position."""


@dataclass(frozen=True)
class GtidPosition:
    """The last transactions of MariaDB that a server has written or applied.

    Attributes:
        takes_writes: Whether the server is no replica, as far as `read_only` says.
        numbers: The highest number in each replication domain.
    """

    takes_writes: bool
    numbers: frozenset[tuple[int, int]]

    def has_reached(self, other: Self) -> bool:
        """Tell whether all is there, as `Position` says."""
        reached = dict(self.numbers)
        return all(reached.get(domain, -1) >= number for domain, number in other.numbers)

    def follows(self, other: Self) -> bool:  # noqa: ARG002 (nothing tells)
        """Take both for being of the same history, as `Position` says."""
        return True


def gtid_position(answer: Sequence[Any]) -> GtidPosition | None:
    """Read the answer to `GTID_QUESTION`; None from a server without a binary log.

    Args:
        answer: The one row of it.
    """
    applied, written, read_only = answer
    takes_writes = str(read_only).upper() in {"0", "OFF"}
    numbers: dict[int, int] = {}
    # A replica may have no binary log; and a server that is written to has been applying before.
    for gtid in filter(None, f"{applied or ''},{written or ''}".split(",")):
        domain, _, number = map(int, gtid.split("-"))
        numbers[domain] = max(number, numbers.get(domain, -1))
    if not numbers or (takes_writes and not written):
        return None
    return GtidPosition(takes_writes, frozenset(numbers.items()))
