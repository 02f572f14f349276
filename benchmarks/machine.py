"""On what the figures were measured."""

import os
import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Final

SYNCS: Final = 25

PACKAGES: Final = (
    "synthorg-persistence",
    "sqlalchemy",
    "pydantic",
    "aiosqlite",
    "asyncpg",
    "asyncmy",
    "advanced-alchemy",
    "tortoise-orm",
)


def describe(folder: Path) -> dict[str, str]:
    """Describe the machine, as far as the system tells.

    Args:
        folder: Where the database files are.
    """
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": str(os.cpu_count()),
        "memory": _first("/proc/meminfo", "MemTotal") or "unknown",
        "system": platform.platform(),
        "python": platform.python_version(),
        "sync": f"{sync_milliseconds(folder):.2f} ms for a write of 4 KiB and fsync",
    }


def versions() -> dict[str, str]:
    """Tell which versions of the packages are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def sync_milliseconds(folder: Path) -> float:
    """Measure how long the disk takes to make a small write durable.

    Args:
        folder: A folder on the disk.
    """
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return median(times) * 1000


def _first(file: str, name: str) -> str | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
