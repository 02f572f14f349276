"""Telling a predecessor's database by its exact shape, and what keeps another from being one."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from sqlalchemy import Connection

from synthorg.persistence.sql.migrations.adoption.schema import SCHEMA
from synthorg.persistence.sql.tables import VERSION_TABLE

Shape = dict[tuple[str, str], str]
"""What a database is made of: kind and name of each object, with its normalised DDL."""

TOLD_DIFFERENCES: Final = 5

_INSIDE_PARENTHESES: Final = re.compile(r"(?<=\() | (?=\))")
_CREATION: Final = re.compile(r"CREATE (?:UNIQUE )?(TABLE|INDEX) (\w+)")
_QUOTED_OR_PUNCTUATION: Final = re.compile(r"('[^']*'|[(),])")


def is_predecessor(connection: Connection) -> bool:
    """Tell whether this is a database of the predecessor, exactly.

    Args:
        connection: A connection to a SQLite database; a transaction is left as it begins.
    """
    return not any(_differences(connection, _found_shape(connection)))


def explain_mismatch(connection: Connection) -> str | None:
    """Say why a database that looks like one of the predecessor is none.

    Args:
        connection: A connection to a SQLite database; a transaction is left as it begins.

    Returns:
        The reason; None for a database of the predecessor, for one of this library, and for one
        that has tables of less than half of the predecessor's names.
    """
    found = _found_shape(connection)
    tables = {name for name in _expected_shape() if name[0] == "table"}
    if ("table", VERSION_TABLE) in found or 2 * len(tables & found.keys()) < len(tables):
        return None
    differences = list(_differences(connection, found))
    if not differences:
        return None
    told = "; ".join(_first(differences))
    return f"it resembles a database of the predecessor, but differs: {told}"


def _differences(connection: Connection, found: Shape) -> Iterator[str]:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version != 0:
        yield f"its user_version is {version} instead of 0"
    expected = _expected_shape()
    # Tables first, as the other differences may follow from theirs.
    for kind, name in sorted(expected | found, key=lambda each: (each[0] != "table", each)):
        wanted, present = expected.get((kind, name)), found.get((kind, name))
        if present is None:
            yield f"the {kind} {name} is missing"
        elif wanted is None:
            yield f"the {kind} {name} is not the predecessor's"
        elif wanted != present:
            yield f"the {kind} {name} {_difference(wanted, present)}"


def _difference(expected: str, found: str) -> str:
    wanted, present = _definitions(expected), _definitions(found)
    missing = [f"`{item}`" for item in wanted if item not in present]
    added = [f"`{item}`" for item in present if item not in wanted]
    lacks = [f"lacks {', '.join(_first(missing))}"] if missing else []
    has = [f"has {', '.join(_first(added))}"] if added else []
    return " and ".join(lacks + has) or "is defined in another way"


def _first(items: list[str]) -> list[str]:
    """Leave out what would make a message too long to be read."""
    more = len(items) - TOLD_DIFFERENCES
    return items if more <= 0 else [*items[:TOLD_DIFFERENCES], f"{more} more"]


def _definitions(sql: str) -> list[str]:
    """Split the DDL of a table into its columns and constraints."""
    definitions, depth = [""], 0
    for part in _QUOTED_OR_PUNCTUATION.split(sql[sql.find("(") + 1 : sql.rfind(")")]):
        depth += (part == "(") - (part == ")")
        if part == "," and depth == 0:
            definitions.append("")
        else:
            definitions[-1] += part
    return [definition.strip() for definition in definitions]


def _found_shape(connection: Connection) -> Shape:
    # Names that begin with sqlite_ belong to SQLite itself, such as the statistics of ANALYZE.
    objects = connection.exec_driver_sql(
        "SELECT type, name, sql FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
    )
    return {(kind, name): _normalised(sql) for kind, name, sql in objects}


@cache
def _expected_shape() -> Shape:
    shape = {}
    for statement in filter(None, map(_normalised, SCHEMA.split(";"))):
        creation = _CREATION.match(statement)
        assert creation is not None
        shape[creation[1].lower(), creation[2]] = statement
    return shape


def _normalised(sql: str) -> str:
    return _INSIDE_PARENTHESES.sub("", " ".join(sql.split()))
