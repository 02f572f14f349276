"""Cursors: a position in the order of one list, as opaque text."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Final

from synthorg.persistence.errors import InvalidArgumentError

VERSION: Final = 1
DIGEST_BYTES: Final = 9
TIME: Final = "time"

Position = tuple[object, ...]
"""The values of the columns that order a list, of one of its rows."""


def write_cursor(query: str, filters: Mapping[str, object], position: Position) -> str:
    """Write a position down.

    Args:
        query: What identifies the list, whatever its filters.
        filters: The filters that the list was narrowed by.
        position: Where in it.

    Returns:
        Text that only the same list with the same filters takes back.
    """
    values = json.dumps([_as_json(value) for value in position], separators=(",", ":"))
    content = bytes([VERSION]) + _digest(query, filters, values) + values.encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def read_cursor(
    query: str,
    filters: Mapping[str, object],
    cursor: str,
    *,
    columns: int,
    argument: str = "after",
    remedy: str = "give the next_cursor of the page before, or None to begin",
) -> Position:
    """Read a position back.

    The digest finds accidents, such as a cursor of another list or a cut one. It is no secret:
    whoever forges a cursor can at most begin the same list elsewhere.

    Args:
        query: What identifies the list.
        filters: The filters that the list is narrowed by.
        cursor: What `write_cursor` returned.
        columns: How many values a position has.
        argument: The name of the argument that it was given as.
        remedy: What to do about one that is none.

    Raises:
        InvalidArgumentError: If the cursor is not one of this list with these filters.
    """
    try:
        content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = tuple(map(_from_json, json.loads(content[1 + DIGEST_BYTES :])))
        # Written again, since Base64 and JSON have many texts for the same content.
        is_own = len(position) == columns and write_cursor(query, filters, position) == cursor
    except (ValueError, TypeError, LookupError, RecursionError):
        is_own = False
    if not is_own:
        raise InvalidArgumentError(
            f"cannot list {query}: {argument} is not a cursor of this list with these filters; "
            f"{remedy}"
        )
    return position


def _digest(query: str, filters: Mapping[str, object], values: str) -> bytes:
    narrowed = sorted((name, _as_json(value)) for name, value in filters.items())
    identity = json.dumps([query, narrowed, values])
    return blake2b(identity.encode(), digest_size=DIGEST_BYTES).digest()


def _as_json(value: object) -> object:
    return {TIME: value.isoformat()} if isinstance(value, datetime) else value


def _from_json(value: object) -> object:
    return datetime.fromisoformat(value[TIME]) if isinstance(value, dict) else value
