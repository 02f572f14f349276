"""The databases that things go wrong with."""

from tests.dialects.conftest import place, sqlite_file

__all__ = ["place", "sqlite_file"]
