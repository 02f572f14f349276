"""`python -m synthorg.persistence.cli` is `synthorg-db`."""

from synthorg.persistence.cli import main

main()
