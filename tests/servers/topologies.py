"""Databases behind more than one server, handed out as those of a single one are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from sqlalchemy import URL, make_url

from tests.servers.base import Server
from tests.servers.galera import cluster
from tests.servers.mariadb import MariaDB
from tests.servers.pgbouncer import pooled
from tests.servers.postgresql import MAINTENANCE, PostgreSQL
from tests.servers.replication import Pair, pair

CONNECTIONS: Final = 12
"""How many the pooler has to each database; some tests have ten transactions open at once."""


class GaleraNode(MariaDB):
    """One node of three."""

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """Start a cluster."""
        with cluster() as nodes, cls.at(nodes[0].url) as server:
            yield server


class BehindPgBouncer(PostgreSQL):
    """A server behind a pooler of transactions."""

    pooler: URL | None = None

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """Start a pooler in front of a server."""
        settings = (f"default_pool_size = {CONNECTIONS}", "max_client_conn = 500")
        with super().start() as server:
            url = server.url.render_as_string(hide_password=False)
            with pooled(url, "transaction", settings) as pooler:
                server.pooler = make_url(pooler)
                yield server

    def _url_of(self, database: str) -> str:
        if self.pooler is None:
            return super()._url_of(database)
        there = self.pooler.set(database=database, query={"pooler": "transaction"})
        return there.render_as_string(hide_password=False)

    def _prepare_template(self, name: str) -> None:
        super()._prepare_template(name)
        self.administrator.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            f" AND application_name <> '{self._session}'"
        )

    def _connections(self, name: str) -> list[str]:
        """Describe those that do something; all others are the pooler's, which keeps them."""
        return [each for each in super()._connections(name) if " (idle): " not in each]


class ReplicatedPostgreSQL(PostgreSQL):
    """A primary whose standby confirms each commit, given with both hosts."""

    pair: Pair | None = None

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """Start a primary and its standby."""
        with pair() as found, cls.at(found.primary.url.set(database=MAINTENANCE)) as server:
            server.pair = found
            yield server

    def _url_of(self, database: str) -> str:
        return super()._url_of(database) if self.pair is None else self.pair.url(database)


TOPOLOGIES: Final[dict[str, type[Server]]] = {
    "galera": GaleraNode,
    "pgbouncer": BehindPgBouncer,
    "replicated": ReplicatedPostgreSQL,
}
"""By the name that the tests are run with."""
