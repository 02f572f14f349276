"""Several servers for one database: in which order they are tried, and what is said of them."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from synthorg.persistence.config import Host
from synthorg.persistence.sql.drivers.faults import UnusableError

RESPITE_SECONDS: Final = 30.0
"""How long a server that has failed is tried after all others; one whose machine is gone gives no
answer, which every new connection would have to wait for."""


class Hosts:
    """The servers of a database.

    Args:
        hosts: The servers, in the order in which they are to be tried.
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = hosts
        self._failed_at: dict[Host, float] = {}

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self._hosts) > 1

    async def open(self, connect: Callable[[Host], Awaitable[Any]]) -> Any:
        """Open a connection to the first that will do.

        Args:
            connect: Opens a connection to one of them. Of several, it raises `UnusableError`.

        Raises:
            UnusableError: If none of several will do, with the reason of each.
            Exception: What `connect` raised, if there is only one.
        """
        if not self.are_several:
            return await connect(self._hosts[0])
        refusals: dict[Host, UnusableError] = {}
        for host in self._in_order():
            try:
                connection = await connect(host)
            except UnusableError as refusal:
                refusals[host] = refusal
                self._failed_at[host] = time.monotonic()
            else:
                self._failed_at.pop(host, None)
                return connection
        raise _refusal_of_all(refusals)

    def _in_order(self) -> Iterator[Host]:
        now = time.monotonic()

        def has_just_failed(host: Host) -> bool:
            return now - self._failed_at.get(host, -RESPITE_SECONDS) < RESPITE_SECONDS

        yield from sorted(self._hosts, key=has_just_failed)


def _refusal_of_all(refusals: dict[Host, UnusableError]) -> UnusableError:
    reasons = [f"{host.name}:{host.port}: {refusals[host].reason}" for host in refusals]
    return UnusableError(
        f"none of its hosts will do ({'; '.join(reasons)})",
        is_silence=all(refusal.is_silence for refusal in refusals.values()),
        may_pass=any(refusal.may_pass for refusal in refusals.values()),
        is_crowd=any(refusal.is_crowd for refusal in refusals.values()),
    )
