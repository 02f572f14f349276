from benchmarks.own_tasks import own
from synthorg.persistence.extension import run_migrations

run_migrations(own)
