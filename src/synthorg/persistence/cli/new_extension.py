"""The skeleton of an extension: a package with an entity, its first revision and a test."""

import sys
from collections.abc import Mapping
from importlib import invalidate_caches
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from alembic import command

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.extension import Extension
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.migrations.operations import DIALECT
from synthorg.persistence.sql.migrations.revisions import alembic_config

_TEMPLATE: Final = files("synthorg.persistence.cli").joinpath("template")

_FILES: Final[Mapping[str, str]] = {
    "package.py.txt": "{name}/__init__.py",
    "env.py.txt": "{name}/migrations/env.py",
    "script.py.mako": "{name}/migrations/script.py.mako",
    "alembic.ini.txt": "alembic.ini",
    "test.py.txt": "tests/test_{name}.py",
}
"""What is made of each file of the template."""

MADE_OF_NOTHING: Final = "sqlite:///:memory:"


def write_skeleton(name: str, folder: Path) -> list[Path]:
    """Write the skeleton of an extension.

    Args:
        name: The name of the extension and of its package.
        folder: Where the package is made.

    Returns:
        The files that were written.

    Raises:
        UsageError: If the name cannot be one, or a file is there already.
    """
    extension = Extension(name, migrations=f"{name}:migrations")
    written = {folder / path.format(name=name): source for source, path in _FILES.items()}
    for path in written:
        if path.exists():
            raise UsageError(f"{path} is there already; nothing was written")
    for path, source in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _TEMPLATE.joinpath(source).read_text()
        is_template = source.endswith(".txt")
        path.write_text(Template(text).substitute(name=name) if is_template else text)
    (folder / name / "migrations" / "versions").mkdir()
    return [*written, _write_first_revision(extension, folder)]


def _write_first_revision(extension: Extension, folder: Path) -> Path:
    """Have Alembic write the revision that makes the tables, by comparing them with nothing."""
    sys.path.insert(0, str(folder.resolve()))
    invalidate_caches()
    dialect = create_dialect(PersistenceConfig.from_url(MADE_OF_NOTHING))
    config = alembic_config(extension.owned, {DIALECT: dialect})
    config.print_stdout = lambda *_, **__: None  # type: ignore[method-assign]
    command.revision(config, "make the first tables", autogenerate=True, rev_id="0001")
    (revision,) = (folder / extension.name / "migrations" / "versions").glob("*.py")
    return revision
