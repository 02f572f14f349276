"""What servers have in common that an operator should know."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from synthorg.persistence.sql.dialects.findings import Finding, warning

SKEW_SECONDS: Final = 5.0
CROWDED: Final = 0.8
LONG_SECONDS: Final = 300


def clock_skew(server: datetime) -> Iterator[Finding]:
    """Compare the clock of a server with that of this machine.

    Args:
        server: The time that it tells just now.
    """
    skew = (datetime.now(UTC) - server).total_seconds()
    if abs(skew) > SKEW_SECONDS:
        behind = "behind" if skew > 0 else "ahead of"
        yield warning(
            "clock",
            f"the server's clock is {abs(skew):.0f} s {behind} this machine's",
            "have both follow NTP; times of records are those of the machines that save them",
        )


def crowd(used: int, most: int) -> Iterator[Finding]:
    """Compare the connections of a server with how many it takes.

    Args:
        used: How many there are.
        most: How many it takes.
    """
    if used >= CROWDED * most:
        yield warning(
            "connections",
            f"{used} of {most} connections of the server are in use",
            "raise max_connections, lower pool_size, or put a pooler in between",
        )


def long_transaction(session: object, seconds: float, *, is_idle: bool) -> Finding:
    """Make the finding of a transaction that keeps others waiting, or old rows from removal.

    Args:
        session: The number of its connection.
        seconds: How long it has been open.
        is_idle: Whether it waits for its client.
    """
    state = ", and waits for its client" if is_idle else ""
    return warning(
        "transactions",
        f"a transaction of connection {session} has been open for {seconds:.0f} s{state}",
        "find out who holds it, and end it if it hangs",
    )
