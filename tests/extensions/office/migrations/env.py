from synthorg.persistence.extension import run_migrations
from tests.extensions.office import office

run_migrations(office)
