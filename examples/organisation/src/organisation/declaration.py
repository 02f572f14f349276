"""The extension to which the tables of all modules belong."""

from typing import Final

from synthorg.persistence.extension import Extension

organisation: Final = Extension("organisation", migrations="organisation:migrations")
