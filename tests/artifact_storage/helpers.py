"""What the tests look for in a folder."""

from pathlib import Path


def paths(folder: Path) -> set[str]:
    """List everything below a folder, as paths from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def contents(folder: Path) -> list[bytes]:
    """Read every file below a folder but that of the lock, and sort what is in them."""
    return sorted(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"
    )


def put(path: Path, content: bytes) -> None:
    """Write a file that the storage did not make."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
