"""The ways to store records that are compared, each as its documentation teaches it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from benchmarks.contenders.base import Contender

AGAIN: Final = "-again"
"""What the name of a second instance ends with, which shows how much is chance."""

REFERENCES: Final[Mapping[str, str]] = MappingProxyType(
    {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mariadb": "asyncmy"}
)
"""What the others are compared with: the driver by hand."""


@dataclass(frozen=True)
class Entry:
    """Where a contender is found; it is imported only where it runs.

    Attributes:
        module: The module in this package.
        name: The class.
        databases: The databases that it can run on.
        requires: The modules that have to be installed for it.
        workloads: The workloads that it takes part in; None is all of them.
    """

    module: str
    name: str
    databases: tuple[str, ...] = ("sqlite", "postgresql", "mariadb")
    requires: tuple[str, ...] = ()
    workloads: tuple[str, ...] | None = None


CONTENDERS: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "synthorg": Entry("library", "Library"),
        "synthorg-public": Entry("library", "PublicRoute"),
        "synthorg-no-savepoints": Entry(
            "library", "WithoutSavepoints", ("postgresql",), workloads=("unit",)
        ),
        "synthorg-unit-steps": Entry(
            "library", "WithStepsOnTheLoop", ("sqlite",), workloads=("unit",)
        ),
        "sqlite3": Entry("sqlite3_direct", "InProcess", ("sqlite",)),
        "sqlite3-one-hop": Entry("sqlite3_direct", "OneHop", ("sqlite",)),
        "aiosqlite": Entry("aiosqlite_shared", "SharedConnection", ("sqlite",)),
        "aiosqlite-bulk": Entry("aiosqlite_shared", "ManyAtOnce", ("sqlite",), workloads=("bulk",)),
        "asyncpg": Entry("asyncpg_pool", "AsyncpgPool", ("postgresql",), ("asyncpg",)),
        "asyncmy": Entry("asyncmy_pool", "AsyncmyPool", ("mariadb",), ("asyncmy",)),
        "core": Entry("sqlalchemy_core", "Core"),
        "orm": Entry("sqlalchemy_orm", "Orm"),
        "advanced-alchemy": Entry(
            "advanced_alchemy_repository", "AdvancedAlchemy", requires=("advanced_alchemy",)
        ),
        # Its upsert is one that MySQL knows, but MariaDB does not.
        "tortoise": Entry("tortoise_orm", "TortoiseOrm", ("sqlite", "postgresql"), ("tortoise",)),
    }
)


class CannotRun(Exception):  # noqa: N818 (it is a fact about the installation, not a failure)
    """A contender lacks something; the text says what."""


def competing(names: Iterable[str], backend: str, workloads: Collection[str]) -> list[str]:
    """Pick the contenders that have something to do on a database.

    Args:
        names: Names of contenders, also of second instances.
        backend: The kind of database.
        workloads: The names of the workloads.
    """
    return [
        name
        for name in names
        if backend in CONTENDERS[name.removesuffix(AGAIN)].databases
        and any(takes_part(name, workload) for workload in workloads)
    ]


def takes_part(name: str, workload: str) -> bool:
    """Tell whether a contender takes part in a workload.

    Args:
        name: Its name, also that of a second instance.
        workload: The name of the workload.
    """
    workloads = CONTENDERS[name.removesuffix(AGAIN)].workloads
    return workloads is None or workload in workloads


def find(name: str) -> type[Contender]:
    """Import a contender.

    Args:
        name: Its name, also that of a second instance.

    Raises:
        CannotRun: If something is not installed.
    """
    entry = CONTENDERS[name.removesuffix(AGAIN)]
    missing = [module for module in entry.requires if find_spec(module) is None]
    if missing:
        raise CannotRun(f"needs {' and '.join(missing)}")
    contender: type[Contender] = getattr(
        import_module(f"benchmarks.contenders.{entry.module}"), entry.name
    )
    return contender
