from synthorg.persistence.extension import run_migrations
from tests.extensions.ledger import ledger

run_migrations(ledger)
