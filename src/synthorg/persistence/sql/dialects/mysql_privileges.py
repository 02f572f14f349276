"""What a user may do on MySQL and MariaDB, as far as the server tells."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

ALL: Final = "ALL PRIVILEGES"

_NAME: Final = r"\*|`(?:[^`]|``)*`"
_GRANT: Final = re.compile(
    rf"GRANT (?P<privileges>.+?) ON (?P<database>{_NAME})\.(?P<table>{_NAME}) TO "
)
_COLUMNS: Final = re.compile(r" \([^)]*\)")
_WILDCARDS: Final = {"%": ".*", "_": "."}


def missing_privileges(
    grants: Iterable[str], needed: Iterable[str], database: str | None = None
) -> list[str]:
    """Name the privileges that a user does not have.

    Args:
        grants: The lines of SHOW GRANTS.
        needed: The privileges in question.
        database: The database on all of which they are needed; None for those of the server.
    """
    held = set(_held(grants, database))
    return [] if ALL in held else [name for name in needed if name not in held]


def _held(grants: Iterable[str], database: str | None) -> Iterator[str]:
    for grant in map(_GRANT.match, grants):
        if grant is None or grant["table"] != "*":
            continue
        pattern = grant["database"]
        if pattern == "*" or (database is not None and _matches(pattern, database)):
            yield from _COLUMNS.sub("", grant["privileges"]).split(", ")


def _matches(pattern: str, database: str) -> bool:
    """Tell whether a name as in a grant, which may have wildcards, is that of a database."""
    characters = re.findall(r"\\?.", pattern[1:-1].replace("``", "`"), re.DOTALL)
    expression = "".join(
        _WILDCARDS.get(character, re.escape(character.removeprefix("\\")))
        for character in characters
    )
    # In some file systems names that differ in case alone are the same.
    return re.fullmatch(expression, database, re.DOTALL | re.IGNORECASE) is not None
