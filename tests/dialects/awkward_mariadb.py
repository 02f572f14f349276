"""A private MariaDB whose operator has chosen what suits nobody, and a user of few privileges."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.network import LOOPBACK

USER: Final = "few"
ACCOUNT: Final = f"{USER}@'{LOOPBACK}'"
PASSWORD: Final = "of little use"

OPTIONS: Final = (
    "--innodb-default-row-format=compact",
    "--character-set-server=latin1",
    "--skip-character-set-client-handshake",
    "--lower-case-table-names=1",
    "--log-bin=changes",
    "--server-id=1",
)

SETTINGS: Final[Mapping[str, str | int]] = {
    "completion_type": "'CHAIN'",
    "sql_mode": (
        "'ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH,"
        "NO_AUTO_VALUE_ON_ZERO,EMPTY_STRING_IS_NULL,TIME_ROUND_FRACTIONAL,SIMULTANEOUS_ASSIGNMENT'"
    ),
    "time_zone": "'-07:00'",
    "foreign_key_checks": 0,
    "unique_checks": 0,
    "check_constraint_checks": 0,
    "sql_safe_updates": 1,
    "sql_big_selects": 0,
    "sql_select_limit": 1,
    "sql_auto_is_null": 1,
    "sql_quote_show_create": 0,
    "max_join_size": 1,
    "autocommit": 0,
    "tx_isolation": "'READ-UNCOMMITTED'",
    "innodb_strict_mode": 0,
    "wait_timeout": 2,
}
"""What each session of the user begins with."""


@contextmanager
def awkward_mariadb() -> Iterator[MariaDB]:
    """Start a server, on which the library is a user who may nothing yet."""
    way = next(MariaDB.private_ways(*OPTIONS), None)
    if way is None:
        pytest.skip("no programs of MariaDB are installed")
    with way as private:
        run = private.administrator.execute
        run(f"CREATE USER {ACCOUNT} IDENTIFIED BY '{PASSWORD}'")
        url = private.url.set(username=USER, password=PASSWORD)
        with MariaDB.at(url, administrator_url=private.url) as server:
            yield server


@contextmanager
def settings(server: MariaDB, values: Mapping[str, str | int]) -> Iterator[None]:
    """Have the sessions of the user begin with settings.

    Args:
        server: The server.
        values: The settings.
    """
    assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
    run = server.administrator.execute
    run(f'SET GLOBAL init_connect = "SET {assignments}"')
    try:
        yield
    finally:
        run("SET GLOBAL init_connect = ''")


@contextmanager
def granted(server: MariaDB, privileges: str, scope: str) -> Iterator[None]:
    """Let the user do something for a while.

    Args:
        server: The server.
        privileges: What the user may do.
        scope: On what.
    """
    run = server.administrator.execute
    run(f"GRANT {privileges} ON {scope} TO {ACCOUNT}")
    try:
        yield
    finally:
        run(f"REVOKE {privileges} ON {scope} FROM {ACCOUNT}")
