"""Custom personality presets, which are plain rows of text: nothing here looks inside."""

from typing import NamedTuple


class PresetRow(NamedTuple):
    """A preset whose name is known."""

    config_json: str
    description: str
    created_at: str
    updated_at: str


class PresetListRow(NamedTuple):
    """A preset in a list."""

    name: str
    config_json: str
    description: str
    created_at: str
    updated_at: str
