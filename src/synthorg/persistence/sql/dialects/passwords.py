"""The password of a server's user, which a file may hold and somebody may change meanwhile."""

from pathlib import Path

from synthorg.entities.base import reason_text_is_unstorable
from synthorg.persistence.config import ServerConfig
from synthorg.persistence.sql.drivers.faults import UnusableError


def current_password(config: ServerConfig) -> str | None:
    """Give the password of now, which is what its file holds when a connection is opened.

    Args:
        config: Where the password is.

    Returns:
        The password, without the line break at the end of a file; None if there is none.

    Raises:
        UnusableError: If the file cannot be read, or holds none.
    """
    if config.password_file is None:
        return None if config.password is None else config.password.get_secret_value()
    try:
        password = Path(config.password_file).read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    else:
        password = password.removesuffix("\n").removesuffix("\r")
        reason = "it is empty" if not password else reason_text_is_unstorable(password) or ""
        if not reason:
            return password
    raise UnusableError(f"cannot read the password in {config.password_file}: {reason}")
