"""Run a command that finds the URLs of empty databases, one on every server, in a variable.

python -m tests.servers.lend VARIABLE COMMAND ARGUMENT...
"""

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.servers.base import Unavailable
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL


def main(variable: str, *command: str) -> int:
    """Lend the databases as long as the command runs.

    Args:
        variable: Where the command finds the URLs, with spaces between them.
        command: The command.

    Returns:
        Its exit code.
    """
    urls = []
    with ExitStack() as stack:
        for kind in (PostgreSQL, MariaDB):
            try:
                server = stack.enter_context(kind.start())
            except Unavailable as reason:
                if os.environ.get("CI"):
                    raise
                print(f"{kind.name} is not available: {reason}", file=sys.stderr)  # noqa: T201 (it is a command)
            else:
                urls.append(stack.enter_context(server.empty_database()))
        environment = {**os.environ, variable: " ".join(urls)}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
