"""The extensions that a command looks after, beside the tables of this library."""

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import typer

from synthorg.persistence.errors import UsageError
from synthorg.persistence.extension import Extension
from synthorg.persistence.sql.migrations.revisions import refuse_unclear_head
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables, refuse_clashes

GROUP: Final = "synthorg.persistence.extensions"
"""The group of entry points under which installed packages name their extensions."""


def load(named: Sequence[str]) -> tuple[Extension, ...]:
    """Load the extensions of installed packages by name, and then those named in the command.

    Args:
        named: Each as a module and an attribute of it, as in `myapp.persistence:organisation`.

    Raises:
        typer.BadParameter: If one cannot be loaded, or they cannot be kept in one database.
    """
    installed = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    given = [EntryPoint(text, text, GROUP) for text in named]
    if given and "" not in sys.path:
        sys.path.insert(0, "")  # what is not installed is looked for in the working directory
    found: dict[str, Extension] = {}
    for extension in map(_load, (*installed, *given)):
        found.setdefault(extension.name, extension)
    extensions = tuple(found.values())
    try:
        refuse_clashes([each.owned for each in extensions])
        for extension in extensions:
            refuse_unclear_head(extension.owned)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return extensions


def _load(point: EntryPoint) -> Extension:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise typer.BadParameter(f"cannot load the extension {point.value}: {error}") from None
    if not isinstance(found, Extension):
        raise typer.BadParameter(f"{point.value} is no Extension, but a {type(found).__name__}")
    return found


def tables_of(extensions: Sequence[Extension]) -> Iterator[OwnedTables]:
    """Give the tables of this library, and then those of the extensions, in their order.

    Args:
        extensions: The extensions.
    """
    yield LIBRARY
    for extension in extensions:
        yield extension.owned


def tables_named(name: str | None, extensions: Sequence[Extension]) -> OwnedTables:
    """Find the tables of an extension by its name.

    Args:
        name: The name, or None for the tables of this library.
        extensions: The extensions.

    Raises:
        typer.BadParameter: If there is no such extension.
    """
    if name is None:
        return LIBRARY
    for extension in extensions:
        if extension.name == name:
            return extension.owned
    known = ", ".join(each.name for each in extensions) or "none"
    raise typer.BadParameter(f"there is no extension {name}; those known are: {known}")
