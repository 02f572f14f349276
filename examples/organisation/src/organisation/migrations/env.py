"""The Alembic environment of the organisation."""

from organisation import organisation
from synthorg.persistence.extension import run_migrations

run_migrations(organisation)
