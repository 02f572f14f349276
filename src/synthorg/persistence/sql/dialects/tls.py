"""TLS for drivers that take a context of Python's `ssl`."""

import ssl

from synthorg.persistence.config import TLSConfig
from synthorg.persistence.errors import PersistenceConnectionError


def client_context(tls: TLSConfig) -> ssl.SSLContext | None:
    """Make the context for connecting as configured, or None where connections are plain.

    Args:
        tls: The configuration.

    Raises:
        PersistenceConnectionError: If a certificate or key cannot be read.
    """
    if tls.mode == "off":
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.mode == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # also what the ssl module raises
        raise PersistenceConnectionError(
            f"cannot read the TLS files (ca, certificate, key): {error.strerror or error}"
        ) from error
    return context
