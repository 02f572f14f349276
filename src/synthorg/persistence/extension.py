"""What an application needs to keep entities of its own: tables, repositories, revisions.

`docs/extending.md` goes through it from nothing to a tested entity. The repositories of this
library are written on the same bases.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.schema import SchemaItem

from synthorg.entities.base import (
    Amount,
    Count,
    Entity,
    Fraction,
    IsoTime,
    JsonObject,
    JsonObjectText,
    JsonText,
    Key,
    Label,
    NotBlankStr,
    Summary,
    Text,
    UtcDatetime,
    Version,
    now,
    random_id,
)
from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql import tables, types
from synthorg.persistence.sql.model_tables import table_of
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables
from synthorg.persistence.sql.repositories.base import (
    AccumulatingRepository,
    AppendOnlyRepository,
    KeyedRepository,
    VersionedRepository,
)
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.tables import NAMING_CONVENTION, TABLE_OPTIONS

if TYPE_CHECKING:
    from synthorg.persistence.sql.migrations import operations

__all__ = [
    "AccumulatingRepository",
    "Amount",
    "AppendOnlyRepository",
    "Count",
    "Entity",
    "Extension",
    "Fraction",
    "IsoTime",
    "JsonObject",
    "JsonObjectText",
    "JsonText",
    "Key",
    "KeyedRepository",
    "Label",
    "ListQuery",
    "NotBlankStr",
    "Summary",
    "Text",
    "UtcDatetime",
    "Version",
    "VersionedRepository",
    "include_name_beside",
    "now",
    "operations",
    "random_id",
    "run_migrations",
    "tables",
    "types",
]

if not TYPE_CHECKING:  # to a type checker, it would give every name that is misspelt

    def __getattr__(name: str) -> object:
        if name == "operations":  # with Alembic, which only revisions need
            return import_module("synthorg.persistence.sql.migrations.operations")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


IncludeName = Callable[[str | None, str, Any], bool]
"""What Alembic asks whether it should look at something of a name and a kind."""

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Extension:
    """Tables of an application, kept beside those of this library, and their revisions.

    Args:
        name: Its name, in small letters, digits and underscores. The version of its tables is kept
            in the table `{name}_version`.
        metadata: Its tables, if it declares them by hand; their names must be its alone.
        migrations: The folder of its Alembic environment, as a package and a folder inside it:
            `"myapp.persistence:migrations"`.

    Raises:
        UsageError: If the name cannot be one.
    """

    def __init__(self, name: str, metadata: MetaData | None = None, *, migrations: str) -> None:
        given: object = name
        if not isinstance(given, str) or not NAME.fullmatch(given):
            raise UsageError(
                "the name of an extension must be of small letters, digits and underscores, begin "
                "with a letter, and have at most 40 characters"
            )
        self.name = name
        self.metadata = (
            MetaData(naming_convention=NAMING_CONVENTION) if metadata is None else metadata
        )
        self._migrations = migrations
        self.owned: Final = OwnedTables(
            f"the extension {name}",
            f"what provides the extension {name}",
            self.metadata,
            f"{name}_version",
            self._find_folder,
        )

    def __repr__(self) -> str:
        return f"Extension({self.name!r}, migrations={self._migrations!r})"

    def table(
        self,
        model: type[BaseModel],
        *,
        name: str,
        key: str | Sequence[str],
        indexes: Iterable[Sequence[str]] = (),
        unique: Iterable[Sequence[str]] = (),
        references: Mapping[str, Column[Any]] | None = None,
        append_only: bool = False,
    ) -> Table:
        """Derive a table from a model: a column for each field, as this library's tables have them.

        Texts with a `max_length` of up to 255, enumerations and UUIDs can be keys and be indexed;
        other texts have any length. Limits of numbers become CHECK constraints. Models, mappings
        and sequences are stored as JSON.

        Args:
            model: The model.
            name: The name of the table.
            key: The field, or the fields, of the primary key.
            indexes: The fields of each index, in their order.
            unique: The fields of each unique constraint.
            references: By field: the column of another table that it refers to, of this extension,
                of this library (`from synthorg.persistence.extension import tables`) or of another.
            append_only: Whether the database itself refuses to change or delete its rows; the
                revision that makes the table calls `operations.make_append_only`.

        Raises:
            UsageError: If a field has a type for which there is no column, or one that cannot be
                a key or be indexed, with what to do about it.
        """
        return table_of(
            self.metadata,
            name,
            model,
            key=(key,) if isinstance(key, str) else tuple(key),
            indexes=indexes,
            unique=unique,
            references=references,
            append_only=append_only,
        )

    def declare(self, name: str, *items: SchemaItem, **options: Any) -> Table:
        """Declare a table by hand, stored as this library's tables are.

        Args:
            name: The name of the table.
            items: Its columns, constraints and indexes.
            options: What else SQLAlchemy's `Table` takes.
        """
        return Table(name, self.metadata, *items, **{**TABLE_OPTIONS, **options})

    def _find_folder(self) -> Path:
        package, _, folder = self._migrations.partition(":")
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (Path(place, folder) / "env.py").is_file():
                return Path(place, folder)
        raise UsageError(
            f"the extension {self.name} has no Alembic environment at {self._migrations}; name the "
            "folder with its env.py as a package and a folder inside it, as in "
            '"myapp.persistence:migrations"'
        )


def run_migrations(extension: Extension) -> None:
    """Run Alembic in the environment of an extension: all that its `env.py` has to do.

    Args:
        extension: The extension.
    """
    from synthorg.persistence.sql.migrations.env import run_environment  # noqa: PLC0415

    run_environment(extension.owned)


def include_name_beside(*extensions: Extension, table_prefix: str = "") -> IncludeName:
    """Make the hook by which an application's own Alembic leaves our tables alone.

    In the `env.py` of an application that keeps tables of its own in the same database, with an
    Alembic environment that this library has no part in::

        context.configure(..., include_name=include_name_beside(organisation))

    Without it, `alembic revision --autogenerate` proposes to drop what it does not know.

    Args:
        extensions: The extensions whose tables are in the database beside this library's.
        table_prefix: That of the configuration.

    Returns:
        A function for the argument `include_name` of Alembic's `context.configure`.
    """
    kept = {
        name
        for owned in (LIBRARY, *(each.owned for each in extensions))
        for name in owned.in_database(table_prefix).names
    }

    def include_name(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in kept

    return include_name
