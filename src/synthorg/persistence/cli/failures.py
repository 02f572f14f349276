"""How a command fails: one line on standard error, and an exit code that a script can tell."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from synthorg.persistence.errors import PersistenceConnectionError, PersistenceError, UsageError


class ExitCode(enum.IntEnum):
    """The exit codes, as the help and the manual state them."""

    DONE = 0
    REFUSED = 1
    """The schema is not as it has to be, a migration or a copy was refused or failed, or two
    databases that should be the same differ."""

    USAGE = 2
    """The arguments or the URL cannot be used; Typer's own code as well."""

    UNREACHABLE = 3
    """The database could not be reached."""


@contextmanager
def reported() -> Iterator[None]:
    """Turn the library's errors into a line and an exit code."""
    try:
        yield
    except PersistenceConnectionError as error:
        fail(str(error), ExitCode.UNREACHABLE)
    except UsageError as error:
        fail(str(error), ExitCode.USAGE)
    except PersistenceError as error:
        fail(str(error), ExitCode.REFUSED)
    except ValidationError as error:
        reasons = (
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        )
        fail(f"the database's URL cannot be used: {'; '.join(reasons)}", ExitCode.USAGE)


def fail(message: str, code: ExitCode) -> None:
    """Say what went wrong, and end."""
    typer.echo(f"synthorg-db: {message}", err=True)
    raise typer.Exit(code)
