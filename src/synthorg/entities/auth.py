"""The humans who use the organisation, and the keys of their programs."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from synthorg.entities.base import Entity, Key, NotBlankStr, Text, UtcDatetime

SYSTEM_USER_ID: Final = "system"
"""The id of the user in whose name the system itself acts."""


class HumanRole(StrEnum):
    """What a user may do; at most one user is the CEO."""

    CEO = "ceo"
    MANAGER = "manager"
    BOARD_MEMBER = "board_member"
    PAIR_PROGRAMMER = "pair_programmer"
    OBSERVER = "observer"
    SYSTEM = "system"


class User(Entity):
    """A human account; its password hash never appears in its repr."""

    id: Key
    username: Key
    password_hash: Text = Field(repr=False)
    role: HumanRole
    must_change_password: bool = True
    created_at: UtcDatetime
    updated_at: UtcDatetime


class ApiKey(Entity):
    """A key that a program presents for a user; its hash never appears in its repr."""

    id: Key
    key_hash: Key = Field(repr=False)
    name: NotBlankStr
    role: HumanRole
    user_id: Key
    created_at: UtcDatetime
    expires_at: UtcDatetime | None = None
    revoked: bool = False
