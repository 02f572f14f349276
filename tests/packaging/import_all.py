"""Import every module of the library where only some distributions exist, and use it once.

Arguments are the top-level names that cannot be imported.
"""

import importlib
import pkgutil
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("synthorg.entities", "synthorg.persistence")
NOT_FOR_IMPORT = (".migrations", ".cli.", ".telemetry", ".testing.", ".__main__")


class Finder(PathFinder):
    """Finds what is installed, save for what a test wants to be absent."""

    absent = frozenset(sys.argv[1:])

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module, as `PathFinder` does."""
        if fullname.partition(".")[0] in cls.absent:
            return None
        return super().find_spec(fullname, path, target)


def main() -> None:
    """Import everything that needs neither an extra nor Alembic around it."""
    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in module.name for part in NOT_FOR_IMPORT):
                importlib.import_module(module.name)
    runpy.run_path(str(Path(__file__).with_name("first_use.py")))


main()
