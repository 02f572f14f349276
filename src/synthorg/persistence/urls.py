"""Reading a database's URL: the library's own spelling, and those of hosters and other tools."""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

MEMORY: Final = ":memory:"
"""The path of a SQLite database that lives in memory and ends with its connection."""

TLS_PREFIX: Final = "tls_"
"""What the parameters of the section `tls` begin with."""

Values = dict[str, object]
"""What becomes the fields of a model, which checks them."""

_HOST_AND_PORT: Final = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")
_UNDECODABLE: Final = "surrogateescape"  # bytes that are not UTF-8, which every text field refuses

_SCHEMES: Final[Mapping[str, tuple[str, Values]]] = {
    "postgres": ("postgresql", {}),
    "postgres+asyncpg": ("postgresql", {"driver": "asyncpg"}),
    "postgres+psycopg": ("postgresql", {"driver": "psycopg"}),
    "postgresql+asyncpg": ("postgresql", {"driver": "asyncpg"}),
    "postgresql+psycopg": ("postgresql", {"driver": "psycopg"}),
    "postgresql+psycopg_async": ("postgresql", {"driver": "psycopg"}),
    "mariadb+asyncmy": ("mariadb", {}),
    "mysql+asyncmy": ("mysql", {}),
    "sqlite+aiosqlite": ("sqlite", {}),
}
"""Other spellings that name the same: the backend, and the parameters that they stand for."""

_RESEMBLING: Final = {
    "sqlite3": "sqlite:///file.db",
    "jdbc:postgresql": "postgresql://user:password@host/database",
    "jdbc:mariadb": "mariadb://user:password@host/database",
    "jdbc:mysql": "mysql://user:password@host/database",
}
"""Schemes of other tools, and how to write what they mean."""

_ENCRYPTED_UNCHECKED: Final = "require"
_ENCRYPTED_CHECKED: Final = "verify-full"
_PLAIN: Final = "off"

_TLS_MODES: Final = {
    "disable": _PLAIN,
    "disabled": _PLAIN,
    "false": _PLAIN,
    "require": _ENCRYPTED_UNCHECKED,
    "required": _ENCRYPTED_UNCHECKED,
    "accept_invalid_certs": _ENCRYPTED_UNCHECKED,
    "verify-full": _ENCRYPTED_CHECKED,
    "verify_identity": _ENCRYPTED_CHECKED,
    "strict": _ENCRYPTED_CHECKED,
}
"""The modes of other tools that say one thing, in this library's words."""

_TLS_CHOICE: Final = (
    "write tls_mode=verify-full, which checks that the server is the right one, or tls_mode=require"
)
_TLS_REFUSALS: Final = {
    **dict.fromkeys(
        ("allow", "prefer", "preferred"),
        f"would go on without encryption whenever a server asks for that: {_TLS_CHOICE}",
    ),
    **dict.fromkeys(
        ("verify-ca", "verify_ca"),
        "would take the certificate of any host: write tls_mode=verify-full, which also checks "
        "the host's name",
    ),
}
"""The modes of other tools that this library does not have."""

_REFUSED_PARAMETERS: Final = {
    "options": "is not sent to the server: set it there, as by ALTER ROLE ... SET",
    "search_path": "is set on the server: ALTER ROLE ... SET search_path",
    "unix_socket": "is called host here, with every '/' written as %2F",
    "connection_limit": "is called pool_size here",
    "pool_timeout": "is called pool_timeout_seconds here",
    "pool_recycle": "is called pool_recycle_seconds here",
    "statement_timeout": "is called statement_timeout_seconds here, and is in seconds",
    "command_timeout": "is called statement_timeout_seconds here",
    "passfile": "is called password_file here, a file with nothing but the password",
    **dict.fromkeys(
        ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        "is not needed: leave it out; who says nothing for too long is hung up on",
    ),
    **dict.fromkeys(
        ("tls", "useSSL", "use_ssl", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"),
        f"is not how encryption is asked for here: {_TLS_CHOICE}",
    ),
}
"""The parameters of other tools that have no counterpart, and what to do instead."""

_REFUSED_BY_SQLITE: Final = {
    "timeout": "is called busy_timeout_seconds here",
    **dict.fromkeys(
        ("replicas", "reads", "replica_wait_seconds"), "is for databases on servers: leave it out"
    ),
    **dict.fromkeys(
        ("check_same_thread", "cache", "isolation_level"), "is not needed: leave it out"
    ),
    **dict.fromkeys(
        ("mode", "uri", "immutable"),
        "is not supported: the URL names a file, which is read and written",
    ),
}
"""The same for SQLite."""

Translation = Callable[[str, str], Values]
"""Gives the library's own parameters for the name and the value of another tool's parameter."""


def read_url(url: str, backends: tuple[str, ...]) -> Values:
    """Split a URL into the values of a configuration, without checking any of them.

    Args:
        url: The URL.
        backends: The names of the backends.

    Raises:
        ValueError: If it cannot be taken apart, or says what cannot be had; the text has nothing
            of what may be a secret.
    """
    if not isinstance(url, str):
        raise ValueError("must be text")  # noqa: TRY004 (one error for every refusal)
    # Parsers that are not strict take an "@" or a "/" in a password for the end of it, and go on
    # with what follows as a host or a database, whose name then shows up in logs.
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("must look like sqlite:///file.db or postgresql://user@host/database")
    if url != url.strip("\"' "):
        raise ValueError("must be without blanks and quotation marks around it")
    if _CONTROL_CHARACTER.search(url):
        raise ValueError("must not contain a line break or another control character")
    backend, implied = _read_scheme(scheme.lower(), backends)
    if backend not in backends:
        return {"backend": backend}
    if "#" in rest:
        raise ValueError("must have every '#' written as %23")
    address, _, query = rest.partition("?")
    parameters = _read_parameters(query)
    if backend == "sqlite":
        _refuse(parameters, _REFUSED_BY_SQLITE)
        section = _joined(_read_sqlite_address(address), parameters)
    else:
        own = _gather_tls(_translated(parameters))
        section = _joined(_read_server_address(address, query), own)
    return {"backend": backend, backend: _joined(section, implied)}


def with_password_file(values: Values, path: str) -> Values:
    """Add the file of the password to what a URL says.

    Args:
        values: What `read_url` has read.
        path: The file.

    Raises:
        ValueError: If the URL names such a file already, or a database without passwords.
    """
    backend = values["backend"]
    section = values.get(str(backend))
    if backend == "sqlite":
        raise ValueError(
            "must be that of a server where the password is in a file: SQLite has no passwords"
        )
    if not isinstance(section, dict):
        return values  # of an unknown backend, which is refused
    return {**values, str(backend): _joined(section, {"password_file": path})}


def _read_scheme(scheme: str, backends: tuple[str, ...]) -> tuple[str, Values]:
    if scheme in _SCHEMES:
        return _SCHEMES[scheme]
    if scheme in _RESEMBLING:
        raise ValueError(f"must be written as {_RESEMBLING[scheme]}")
    family, plus, _ = scheme.partition("+")
    backend, _ = _SCHEMES.get(family, (family, {}))
    if plus and backend in backends:
        known = " or ".join(f"{name}://" for name in _SCHEMES if name.startswith(f"{backend}+"))
        raise ValueError(
            f"names a driver that this library does not use: write {backend}:// or {known}"
        )
    return scheme, {}


def _read_sqlite_address(address: str) -> Values:
    host, slash, path = address.partition("/")
    if host:
        raise ValueError(
            "must have no host for SQLite: write sqlite:///relative.db, sqlite:////absolute.db, "
            "or sqlite:// for a database in memory"
        )
    return {"path": unquote(path, errors=_UNDECODABLE) if slash else MEMORY}


def _read_server_address(address: str, query: str) -> Values:
    authority, _, database = address.partition("/")
    credentials, _, place = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    found = [_HOST_AND_PORT.fullmatch(host) for host in place.split(",")]
    hosts = [match for match in found if match is not None]
    if len(hosts) < len(found) or "@" in database or "@" in query:
        raise ValueError(
            "must be scheme://user:password@host:port/database, with every '/', '?', '#' and '@' "
            "inside one of the parts written as %2F, %3F, %23 and %40"
        )
    if len(hosts) > 1 and not all(host["host"] for host in hosts):
        raise ValueError("must name every one of several hosts: host:port,host:port")
    first, *further = [_decoded(host=host["host"].strip("[]"), port=host["port"]) for host in hosts]
    rest = _decoded(database=database, username=username, password=password)
    if further:
        rest["further_hosts"] = [{"name": host.pop("host"), **host} for host in further]
    return {**first, **rest}


def _decoded(**parts: str | None) -> Values:
    """Decode the parts of an address that are given."""
    return {name: unquote(part, errors=_UNDECODABLE) for name, part in parts.items() if part}


def _read_parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for parameter in query.split("&") if query else ():
        name, separator, value = parameter.partition("=")
        if not separator or name in parameters:
            raise ValueError("must have every parameter once, as name=value")
        parameters[name] = unquote(value, errors=_UNDECODABLE)
    return parameters


def _translated(parameters: Mapping[str, str]) -> Values:
    """Replace the parameters of other tools by this library's own."""
    _refuse(parameters, _REFUSED_PARAMETERS)
    own: Values = {}
    for name, value in parameters.items():
        translate = _TRANSLATIONS.get(name)
        said = {name: value} if translate is None else translate(name, value)
        if said != _BEHIND_A_POOLER or own.get("pooler") != said["pooler"]:  # two tools may say so
            own = _joined(own, said)
    return own


def _refuse(parameters: Mapping[str, str], refusals: Mapping[str, str]) -> None:
    for name in parameters:
        if name in refusals:
            raise ValueError(f"parameter {name} {refusals[name]}")


def _joined(first: Values, second: Mapping[str, object]) -> Values:
    if twice := first.keys() & second.keys():
        raise ValueError(f"must not give {' and '.join(sorted(twice))} twice")
    return {**first, **second}


def _tls_mode(name: str, value: str) -> Values:
    mode = value.lower()
    if mode in _TLS_REFUSALS:
        raise ValueError(f"parameter {name}={mode} {_TLS_REFUSALS[mode]}")
    if mode not in _TLS_MODES:
        # Tools differ in whether a mere "true" checks the certificate.
        raise ValueError(f"parameter {name} does not say whom to trust: {_TLS_CHOICE}")
    return {"tls_mode": _TLS_MODES[mode]}


def _ca(name: str, value: str) -> Values:
    if value == "system":
        raise ValueError(f"parameter {name}=system is what tls_mode=verify-full means: write that")
    return {"tls_ca": value}


def _hosts(name: str, value: str) -> Values:
    found = [_HOST_AND_PORT.fullmatch(host) for host in value.split(",")]
    hosts = [match for match in found if match is not None and match["host"]]
    if len(hosts) < len(found):
        raise ValueError(f"parameter {name} must be host:port,host:port")
    return {
        name: [
            {"name": host["host"].strip("[]"), **({"port": host["port"]} if host["port"] else {})}
            for host in hosts
        ]
    }


def _one_host(name: str, value: str) -> Values:
    if "," in value and not value.startswith("/"):
        raise ValueError(
            f"parameter {name} names several hosts: write scheme://host:port,host:port/database"
        )
    return {name: value}


def _named(own: str) -> Translation:
    return lambda _, value: {own: value}


def _only(accepted: tuple[str, ...], advice: str) -> Translation:
    """Drop a parameter whose value changes nothing, and refuse it with any other."""

    def translate(name: str, value: str) -> Values:
        if value.lower() not in accepted:
            raise ValueError(f"parameter {name} {advice}")
        return {}

    return translate


_BEHIND_A_POOLER: Final[Values] = {"pooler": "transaction"}


def _behind_a_pooler(affirmation: str) -> Translation:
    """Take what other tools need behind a pooler of transactions for its name here."""
    return lambda _, value: dict(_BEHIND_A_POOLER) if value.lower() == affirmation else {}


_TRANSLATIONS: Final[Mapping[str, Translation]] = {
    **dict.fromkeys(("sslmode", "ssl-mode", "ssl_mode", "ssl", "sslaccept"), _tls_mode),
    **dict.fromkeys(("sslrootcert", "ssl_ca", "ssl-ca"), _ca),
    **dict.fromkeys(("sslcert", "ssl_cert", "ssl-cert"), _named("tls_certificate")),
    **dict.fromkeys(("sslkey", "ssl_key", "ssl-key"), _named("tls_key")),
    "user": _named("username"),
    "dbname": _named("database"),
    "host": _one_host,
    "replicas": _hosts,
    "connect_timeout": _named("connect_timeout_seconds"),
    "channel_binding": _only(
        ("prefer", "disable"),
        "cannot be required here: leave it out, and write tls_mode=verify-full, which also keeps "
        "out whoever stands between",
    ),
    "gssencmode": _only(("disable", "prefer"), "cannot be required here: leave it out"),
    "pgbouncer": _behind_a_pooler("true"),
    "statement_cache_size": _behind_a_pooler("0"),
    "prepared_statement_cache_size": _behind_a_pooler("0"),
    "charset": _only(("utf8mb4",), "is always utf8mb4: leave it out"),
}
"""How to read the parameters of other tools. https://www.postgresql.org/docs/current/libpq-connect.html"""


def _gather_tls(parameters: Values) -> Values:
    tls = {
        name.removeprefix(TLS_PREFIX): value
        for name, value in parameters.items()
        if name.startswith(TLS_PREFIX)
    }
    others = {name: value for name, value in parameters.items() if not name.startswith(TLS_PREFIX)}
    return _joined({"tls": tls}, others) if tls else others
