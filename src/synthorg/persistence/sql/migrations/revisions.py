"""What a run of revisions tells while it goes on."""

from collections.abc import Callable
from typing import Final

Progress = Callable[[str, int, int], None]
"""Told what was finished, how many are finished now, and how many there are."""

PROGRESS: Final = "progress"
"""The attribute of Alembic's configuration that holds a `Progress`, or None."""

REVISION: Final = "revision"
"""The attribute of Alembic's configuration that names the revision which runs."""
