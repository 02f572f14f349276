"""The revisions of some tables, and what a run of them tells while it goes on."""

from collections.abc import Callable, Mapping
from typing import Final

from alembic.config import Config
from alembic.script import ScriptDirectory

from synthorg.persistence.errors import UsageError
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables

Progress = Callable[[str, int, int], None]
"""Told what was finished, how many are finished now, and how many there are."""

PROGRESS: Final = "progress"
"""The attribute of Alembic's configuration that holds a `Progress`, or None."""

REVISION: Final = "revision"
"""The attribute of Alembic's configuration that names the revision which runs."""

CONNECTION: Final = "connection"
"""The attribute of Alembic's configuration that hands a connection to `env.py`."""


NO_ATTRIBUTES: Final[Mapping[str, object]] = {}


def alembic_config(
    owned: OwnedTables = LIBRARY, attributes: Mapping[str, object] = NO_ATTRIBUTES
) -> Config:
    """Make a configuration for Alembic's commands that needs no file.

    Args:
        owned: The tables that are to be migrated.
        attributes: What the environment finds in the configuration's `attributes`.
    """
    config = Config(attributes=dict(attributes))
    config.set_main_option("script_location", str(owned.find_folder()).replace("%", "%%"))
    return config


def known_revisions(owned: OwnedTables = LIBRARY) -> ScriptDirectory:
    """Read the revisions that this version of the library, or of an extension, knows.

    Args:
        owned: The tables in question.
    """
    return ScriptDirectory.from_config(alembic_config(owned))


def refuse_unclear_head(owned: OwnedTables) -> None:
    """Refuse revisions that do not lead to one head.

    Args:
        owned: The tables in question.

    Raises:
        UsageError: If there is no revision, or more than one that no other follows.
    """
    heads = known_revisions(owned).get_heads()
    if not heads:
        raise UsageError(f"{owned.owner} has no revision yet; make one with `alembic revision`")
    if len(heads) > 1:
        raise UsageError(
            f"the revisions of {owned.owner} have several heads ({', '.join(sorted(heads))}); join "
            "them with `alembic merge heads`"
        )
