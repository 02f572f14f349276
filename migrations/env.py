"""Alembic's environment of this library's own tables."""

from synthorg.persistence.sql.migrations.env import run_environment
from synthorg.persistence.sql.owned_tables import LIBRARY

run_environment(LIBRARY)
