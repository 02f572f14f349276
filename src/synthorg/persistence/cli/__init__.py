"""The operator's command, `synthorg-db`."""

import sys
from importlib.util import find_spec

NOT_INSTALLED = (
    "synthorg-db needs the optional dependencies of the command line; "
    "pip install 'synthorg-persistence[cli]'"
)


def main() -> None:
    """Run the command, or say what to install for it."""
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.exit(NOT_INSTALLED)
    from synthorg.persistence.cli.app import app  # noqa: PLC0415 (needs the extra)

    app()
