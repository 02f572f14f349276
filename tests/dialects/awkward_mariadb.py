"""A private MariaDB whose operator has chosen what suits nobody, and users of few privileges."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import make_url

from tests.servers.base import go_without
from tests.servers.mariadb import PREFIX_PATTERN, MariaDB
from tests.servers.network import LOOPBACK

USER: Final = "owner"
ACCOUNT: Final = f"{USER}@'{LOOPBACK}'"
PASSWORD: Final = "of little use"

OPTIONS: Final = (
    "--innodb-default-row-format=compact",
    "--loose-innodb-file-per-table=ON",
    "--character-set-server=latin1",
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
    "character_set_client": "latin1",
    "character_set_results": "latin1",
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
}
"""What each session of the user begins with."""


@contextmanager
def awkward_mariadb() -> Iterator[MariaDB]:
    """Start a server, on which the library owns the databases of tests and may nothing else."""
    way = next(MariaDB.private_ways(*OPTIONS), None)
    if way is None:
        go_without(MariaDB.name, "no programs of it are installed to start a private one")
    with way as private:
        run = private.administrator.execute
        run(f"CREATE USER {ACCOUNT} IDENTIFIED BY '{PASSWORD}'")
        run(f"GRANT ALL ON `{PREFIX_PATTERN}`.* TO {ACCOUNT}")
        run("SET GLOBAL log_bin_trust_function_creators = 1")
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
def visitor(server: MariaDB, url: str, *grants: str) -> Iterator[str]:
    """Make a user for a while, and give the URL with which it comes to a database.

    Args:
        server: The server.
        url: The database, as its owner comes to it.
        grants: What the user may do, and on what; `{database}` is the database.
    """
    database = make_url(url).database
    account = f"visitor@'{LOOPBACK}'"
    run = server.administrator.execute
    run(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
    try:
        for grant in grants:
            run(f"GRANT {grant.format(database=database)} TO {account}")
        visiting = make_url(url).set(username="visitor", password=PASSWORD)
        yield visiting.render_as_string(hide_password=False)
    finally:
        run(f"DROP USER {account}")
