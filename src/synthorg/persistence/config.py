"""Which database to use and how: frozen models, from code, from a URL or from the environment."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self, get_args
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from synthorg.entities import NotBlankStr
from synthorg.entities.base import LARGEST_INTEGER, reason_text_is_unstorable
from synthorg.persistence.errors import PersistenceConnectionError
from synthorg.persistence.urls import MEMORY, read_url, with_password_file

DATABASE_URL_VARIABLE: Final = "SYNTHORG_DATABASE_URL"
"""The environment variable that names the database, here and for the operator's commands."""

PASSWORD_FILE_VARIABLE: Final = "SYNTHORG_DATABASE_PASSWORD_FILE"  # noqa: S105 (its name)
"""The environment variable that names the file of the password for that database."""

BackendName = Literal["sqlite", "postgresql", "mariadb", "mysql"]

UnreadableRecords = Literal["raise", "skip"]

Reads = Literal["primary", "replica"]
"""Where reads go that may be answered by a replica: to "primary", or to "replica" where one is as
far as it has to be."""

LONGEST_WAIT_SECONDS: Final = 2_147_483  # databases hold it as milliseconds in 32 bits
Seconds = Annotated[float, Field(gt=0, le=LONGEST_WAIT_SECONDS)]
SecondsOrZero = Annotated[float, Field(ge=0, le=LONGEST_WAIT_SECONDS)]
Port = Annotated[int, Field(ge=1, le=65535)]


SchemaName = Annotated[str, Field(max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A schema of PostgreSQL, which cuts longer names short."""

LONGEST_PREFIX: Final = 10  # PostgreSQL would cut our longest name short after a longer one


def _usable_prefix(prefix: str) -> str:
    if not re.fullmatch(r"(?:[a-z_][a-z0-9_]*)?", prefix):
        raise ValueError(
            "must be of small letters, digits and underscores, and not begin with a digit"
        )
    if len(prefix) > LONGEST_PREFIX:
        raise ValueError(f"must have at most {LONGEST_PREFIX} characters, or names get too long")
    if prefix.startswith("sqlite_"):
        raise ValueError("must not begin with 'sqlite_', which is what SQLite's own names do")
    return prefix


TablePrefix = Annotated[str, AfterValidator(_usable_prefix)]
"""What the names of this library's tables begin with, and those of all that belongs to them."""


class _Model(BaseModel):
    """A frozen model whose errors name fields and never hold the values given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    # hide_input_in_errors clears the text of an error, but not its errors(), where a missing field
    # would bring along the whole input with its password. Only errors of a field pass through here,
    # so a rule between fields is a validator of the last of them.
    @model_validator(mode="wrap")
    @classmethod
    def _keep_inputs_out_of_errors(
        cls, values: object, validate: ModelWrapValidatorHandler[Self]
    ) -> Self:
        try:
            return validate(values)
        except ValidationError as error:
            title = error.title
            details = [
                InitErrorDetails(
                    type=detail["type"],
                    loc=detail["loc"],
                    input=None,
                    ctx=detail.get("ctx", {}),
                )
                for detail in error.errors(include_input=False)
            ]
        # Outside the handler: a chained original would still hold the values.
        raise ValidationError.from_exception_data(title, details, hide_input=True)


class SQLiteConfig(_Model):
    """A SQLite database.

    Attributes:
        path: The file, relative to the working directory or absolute; ":memory:" for a database
            in memory.
        wal_mode: Whether readers work beside a writer, through a write-ahead log; without effect
            in memory. A file is switched once it has this version's schema, and not out of it
            while others have it open.
        journal_size_limit: The size in bytes to which the log is cut back when it is free.
        synchronous: "full" survives a loss of power with every write; "normal" may lose the last
            ones, but never damages the database.
        busy_timeout_seconds: How long a write waits for the writers before it.
        prepared_statements: Whether statements go straight to the driver, single ones prepared
            and on connections that are kept; else all of them go through SQLAlchemy.
        point_reads: Where prepared statements that get one record by its key run: "adaptive" is on
            the event loop's own thread, for a file while that takes less than a quarter of a
            millisecond, and else on another; "thread" is always on another.
        unit_steps: Where, in a unit of work on a file, prepared statements that get or save one
            record run: "thread" is on another thread than the event loop's; "adaptive" is on its
            own while that is fast, as for `point_reads`. A unit begins and ends on another.
        unreadable_records: What lists do with a stored record that does not fit its kind, as a
            newer release may write it: "raise" says which it is; "skip" leaves it out and logs it.
        table_prefix: What the names of this library's tables, indexes, constraints and triggers
            begin with, and those of every version table, so that an application may have tables
            of the same names. An extension names its tables itself, and its own SQL as well.
        slow_call_seconds: From how long on a call is logged as slow; None for never.
        explain_slow_calls: Whether, at most once a minute, the plan of the statement that took
            longest in such a call is logged, too. It is asked for on another connection, without
            the values of the call.
    """

    path: NotBlankStr = "synthorg.db"
    wal_mode: bool = True
    journal_size_limit: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] = 64 * 1024 * 1024
    synchronous: Literal["full", "normal"] = "full"
    busy_timeout_seconds: SecondsOrZero = 30
    prepared_statements: bool = True
    point_reads: Literal["adaptive", "thread"] = "adaptive"
    unit_steps: Literal["adaptive", "thread"] = "thread"
    unreadable_records: UnreadableRecords = "raise"
    table_prefix: TablePrefix = ""
    slow_call_seconds: SecondsOrZero | None = None
    explain_slow_calls: bool = False

    @field_validator("path")
    @classmethod
    def _refuse_misleading_path(cls, path: str) -> str:
        if ".." in re.split(r"[/\\]", path):
            raise ValueError("must not contain '..': write where the file is without it")
        spelling = path.strip().lower()
        if spelling.startswith("file:"):
            raise ValueError("must be a path, not a URI: leave out 'file:'")
        if spelling == MEMORY and path != MEMORY:
            raise ValueError(f"would be a file: a database in memory is exactly {MEMORY!r}")
        return path

    @property
    def description(self) -> str:
        """The database as a URL, for people to read."""
        return "sqlite://" if self.path == MEMORY else f"sqlite:///{quote(self.path)}"


class TLSConfig(_Model):
    """Encryption of the connections to a server.

    Attributes:
        mode: "off" never encrypts; "require" encrypts, but to whoever answers; "verify-full"
            also checks that the server has a trusted certificate for the host's name.
        ca: The file of the certificates that "verify-full" trusts; None for the system's.
        certificate: The file of the certificate that the server may ask for.
        key: The file of the certificate's private key.
    """

    mode: Literal["off", "require", "verify-full"] = "off"
    ca: NotBlankStr | None = None
    certificate: NotBlankStr | None = None
    key: NotBlankStr | None = Field(default=None, validate_default=True)

    @field_validator("ca")
    @classmethod
    def _refuse_unused_ca(cls, ca: str | None, info: ValidationInfo) -> str | None:
        if ca is not None and info.data.get("mode") != "verify-full":
            raise ValueError("is used by mode 'verify-full' only")
        return ca

    @field_validator("certificate")
    @classmethod
    def _refuse_unused_certificate(
        cls, certificate: str | None, info: ValidationInfo
    ) -> str | None:
        if certificate is not None and info.data.get("mode") == "off":
            raise ValueError("is not used by mode 'off'")
        return certificate

    @field_validator("key")
    @classmethod
    def _refuse_half_a_pair(cls, key: str | None, info: ValidationInfo) -> str | None:
        if (key is None) != (info.data.get("certificate") is None):
            raise ValueError("a certificate and its key must be given together")
        return key


class Host(_Model):
    """One of the servers of a database.

    Attributes:
        name: Its name or address, or its socket, as the `host` of a `ServerConfig`.
        port: Its port; None for the usual one.
    """

    name: NotBlankStr
    port: Port | None = None


class ServerConfig(_Model):
    """A database on a server: what the sections of all such databases share.

    Attributes:
        host: The server's name or address; or, beginning with "/", the folder of its socket, on
            MariaDB and MySQL also the socket itself, which is never encrypted.
        port: The server's port.
        further_hosts: The servers that may hold the same database after a failover. A new
            connection is opened to the first of all hosts, in their order, that is as
            `target_session_attrs` says; one that has just failed is tried last.
        target_session_attrs: Which servers will do: "any"; "read-write" for those where
            transactions may write, unlike on a standby or a replica with `read_only`; or, on
            PostgreSQL, "primary" for those that are no standby, even with
            `default_transaction_read_only`. None is "read-write" where there are `further_hosts`,
            and else "any".
        database: The name of the database.
        username: Who connects; None for the driver's default.
        password: The password, if there is one.
        password_file: A file with nothing but the password, instead of it. It is read whenever a
            connection is opened, so that the password may change meanwhile.
        pool_size: How many connections are kept open.
        max_overflow: How many more may be opened when all are in use.
        pool_timeout_seconds: How long a call waits for a free connection, and `disconnect` for
            units of work under way.
        pool_recycle_seconds: The age at which a connection is replaced; it should be below the
            time after which the server or a firewall drops an idle one.
        connect_timeout_seconds: How long opening a connection to one host may take.
        failover_timeout_seconds: How long a call goes on trying to open a connection when all hosts
            fail for the moment, as between the end of a primary and the promotion of its
            successor; 0 to be told at once. Whatever is safe to repeat is then run again as well.
        replicas: The servers that follow the one that is written to, and may answer lists, sums
            and read-only units of work, with the same database and user. Each has a pool of its
            own. Of PostgreSQL and MariaDB alone.
        reads: Where such reads go, unless the call or the unit says otherwise.
        replica_wait_seconds: How long a read waits for its replica to have what this backend has
            written or read before; then the primary answers.
        statement_timeout_seconds: How long the server works on one statement; 0 for no limit. A
            server that says nothing for five seconds more is hung up on.
        application_name: How the connections appear in the server's own lists.
        prepared_statements: Whether statements go straight to the driver, single ones prepared
            and on connections that are kept; else all of them go through SQLAlchemy.
        unreadable_records: What lists do with a stored record that does not fit its kind, as a
            newer release may write it: "raise" says which it is; "skip" leaves it out and logs it.
        table_prefix: What the names of this library's tables, indexes, constraints and triggers
            begin with, and those of every version table, so that an application may have tables
            of the same names. An extension names its tables itself, and its own SQL as well.
        slow_call_seconds: From how long on a call is logged as slow; None for never.
        explain_slow_calls: Whether, at most once a minute, the plan of the statement that took
            longest in such a call is logged, too. It is asked for on another connection, without
            the values of the call.
        tls: Whether and how the connections are encrypted.
    """

    scheme: ClassVar[BackendName]

    host: NotBlankStr = "localhost"
    port: Port
    further_hosts: tuple[Host, ...] = ()
    target_session_attrs: Literal["any", "read-write", "primary"] | None = None
    database: NotBlankStr
    username: NotBlankStr | None = None
    password: SecretStr | None = None
    password_file: NotBlankStr | None = None
    pool_size: Annotated[int, Field(ge=1)] = 10
    max_overflow: Annotated[int, Field(ge=0)] = 0
    pool_timeout_seconds: Seconds = 30
    pool_recycle_seconds: Seconds = 1800
    connect_timeout_seconds: Seconds = 10
    failover_timeout_seconds: SecondsOrZero = 0
    replicas: tuple[Host, ...] = ()
    reads: Reads = Field(default="primary", validate_default=True)
    replica_wait_seconds: SecondsOrZero = 1
    statement_timeout_seconds: SecondsOrZero = 60
    application_name: Annotated[NotBlankStr, Field(max_length=63)] = "synthorg"
    prepared_statements: bool = True
    unreadable_records: UnreadableRecords = "raise"
    table_prefix: TablePrefix = ""
    slow_call_seconds: SecondsOrZero | None = None
    explain_slow_calls: bool = False
    tls: TLSConfig = TLSConfig()

    @field_validator("password")
    @classmethod
    def _refuse_unsendable_password(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None:
            reason = reason_text_is_unstorable(password.get_secret_value())
            if reason is not None:
                raise ValueError(reason)
        return password

    @field_validator("password_file")
    @classmethod
    def _refuse_two_passwords(cls, file: str | None, info: ValidationInfo) -> str | None:
        if file is not None and info.data.get("password") is not None:
            raise ValueError("give either the password or its file, not both")
        return file

    @field_validator("reads")
    @classmethod
    def _refuse_reads_on_none(cls, reads: Reads, info: ValidationInfo) -> Reads:
        if reads == "replica" and info.data.get("replicas") == ():
            raise ValueError("must be 'primary' where no replicas are given")
        return reads

    @property
    def description(self) -> str:
        """The database as a URL without the password, for people to read."""
        user = "" if self.username is None else f"{quote(self.username, safe='')}@"
        hosts = ",".join(f"{_quoted(host.name)}:{host.port}" for host in self.hosts)
        return f"{self.scheme}://{user}{hosts}/{quote(self.database, safe='')}"

    @property
    def place(self) -> str:
        """Where the database is, whoever uses it and however."""
        hosts = ",".join(f"{host.name}:{host.port}" for host in self.hosts)
        return f"{hosts}/{self.database}"

    @property
    def server_port(self) -> int | None:
        """The port of the first host; None where that is a socket."""
        return None if self.host.startswith("/") else self.port

    @property
    def target(self) -> Literal["any", "read-write", "primary"]:
        """Which servers will do, as `target_session_attrs` says."""
        usual: Literal["any", "read-write"] = "read-write" if self.further_hosts else "any"
        return usual if self.target_session_attrs is None else self.target_session_attrs

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All servers, each with its port, in the order in which they are tried."""
        return (Host(name=self.host, port=self.port), *self._with_ports(self.further_hosts))

    @property
    def of_replicas(self) -> tuple[Self, ...]:
        """The configuration of the connections to each replica."""
        return tuple(
            self.model_copy(
                update={
                    "host": host.name,
                    "port": host.port,
                    "further_hosts": (),
                    "target_session_attrs": "any",
                    "failover_timeout_seconds": 0,  # the primary answers instead
                    "replicas": (),
                    "reads": "primary",
                }
            )
            for host in self._with_ports(self.replicas)
        )

    def _with_ports(self, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        usual = type(self).model_fields["port"].default
        return tuple(
            Host(name=host.name, port=usual if host.port is None else host.port) for host in hosts
        )


def _quoted(host: str) -> str:
    return f"[{quote(host, safe=':')}]" if ":" in host else quote(host, safe="")


class PostgreSQLConfig(ServerConfig):
    """A PostgreSQL database, through the chosen driver.

    Attributes:
        driver: Through which package; through psycopg, all statements go through SQLAlchemy,
            whatever `prepared_statements` says.
        schema_name: Where the tables are, given as `schema`: a schema that exists. Without it, the
            first one of the user's search_path.
        pooler: What is between the library and the server: "none", a pooler that gives each
            client a connection of the server for as long as it stays ("session"), or one that
            does so for each transaction ("transaction"). None has `connect()` find out.
    """

    scheme: ClassVar[BackendName] = "postgresql"

    port: Port = 5432
    driver: Literal["asyncpg", "psycopg"] = "asyncpg"
    # Pydantic's models have an attribute named schema.
    schema_name: SchemaName | None = Field(default=None, alias="schema")
    pooler: Literal["none", "session", "transaction"] | None = None


class MySQLConfig(ServerConfig):
    """A MySQL database, which is read on its primary alone.

    Attributes:
        port: Where the server listens.
        causal_reads: On a node of a Galera cluster: whether each read waits until the node has what
            was written on others before (`wsrep_sync_wait = 1`).
        units_across_nodes: On a node of a Galera cluster: whether units of work that write have the
            effect of running one after the other, also those on other nodes. False is for
            whoever has all units run on one node, where they have it anyway.
    """

    scheme: ClassVar[BackendName] = "mysql"

    port: Port = 3306
    causal_reads: bool = False
    units_across_nodes: bool = True

    @field_validator("target_session_attrs")
    @classmethod
    def _refuse_unknown_role(cls, target: str | None) -> str | None:
        if target == "primary":
            raise ValueError("must be 'any' or 'read-write', by which a primary is known here")
        return target

    @field_validator("replicas")
    @classmethod
    def _refuse_replicas(cls, replicas: tuple[Host, ...]) -> tuple[Host, ...]:
        if replicas and cls.scheme == "mysql":
            raise ValueError("are read on PostgreSQL and MariaDB alone: leave them out")
        return replicas


class MariaDBConfig(MySQLConfig):
    """A MariaDB database."""

    scheme: ClassVar[BackendName] = "mariadb"


class PersistenceConfig(_Model):
    """The choice of a database; without arguments, a SQLite file in the working directory.

    Attributes:
        backend: Which of the sections is used.
        sqlite: The SQLite database.
        postgresql: The PostgreSQL database.
        mariadb: The MariaDB database.
        mysql: The MySQL database.
    """

    backend: BackendName = "sqlite"
    sqlite: SQLiteConfig = SQLiteConfig()
    postgresql: PostgreSQLConfig | None = Field(default=None, validate_default=True)
    mariadb: MariaDBConfig | None = Field(default=None, validate_default=True)
    mysql: MySQLConfig | None = Field(default=None, validate_default=True)

    @field_validator("postgresql", "mariadb", "mysql")
    @classmethod
    def _refuse_missing_section(
        cls, section: ServerConfig | None, info: ValidationInfo
    ) -> ServerConfig | None:
        if section is None and info.data.get("backend") == info.field_name:
            raise ValueError(f"backend {info.field_name!r} needs the section {info.field_name!r}")
        return section

    @property
    def section(self) -> SQLiteConfig | ServerConfig:
        """The section of the chosen backend.

        Raises:
            PersistenceConnectionError: If there is none, as in a copy that was not validated.
        """
        sections: Mapping[str, SQLiteConfig | ServerConfig | None] = {
            "sqlite": self.sqlite,
            "postgresql": self.postgresql,
            "mariadb": self.mariadb,
            "mysql": self.mysql,
        }
        section = sections.get(self.backend)
        if section is None:
            raise PersistenceConnectionError(
                f"the configuration has no section for the backend {self.backend!r}; the backends "
                f"are {', '.join(sections)}"
            )
        return section

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read a configuration from a URL.

        A server's URL is `postgresql://user:password@host:port/database`, likewise with `mariadb`
        or `mysql`; several hosts are written as `host:port,host:port`, also those of the parameter
        `replicas`. For SQLite it is
        `sqlite:///relative.db`, `sqlite:////absolute.db`, or `sqlite://` in memory. Parameters
        (`?pool_size=5&tls_mode=require`) set the other fields of the section, those of `tls` as
        `tls_mode`, `tls_ca`, `tls_certificate` and `tls_key`.
        Any part may be percent-encoded; in user, password, database and parameters the characters
        `/ ? # @` must be, save for `@` in the password.

        Other spellings are understood where they say the same: `postgres://`, the URLs of
        SQLAlchemy for the drivers that this library uses, and parameters such as `sslmode`. What
        cannot be had, such as encryption that a server may decline, is refused with what to write.

        Args:
            url: The URL.

        Raises:
            ValidationError: If the URL cannot be read, or names an unknown backend or parameter.
        """
        return cls._from_url(url, password_file=None)

    @classmethod
    def _from_url(cls, url: str, password_file: str | None) -> Self:
        try:
            values = read_url(url, get_args(BackendName))
            if password_file is not None:
                values = with_password_file(values, password_file)
        except ValueError as error:
            detail = InitErrorDetails(
                type="value_error", loc=("url",), input=None, ctx={"error": error}
            )
        else:
            return cls.model_validate(values)
        raise ValidationError.from_exception_data(cls.__name__, [detail], hide_input=True)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read a configuration from the URL in `SYNTHORG_DATABASE_URL`.

        The password may be in a file, as secrets are in containers, whose path is then in
        `SYNTHORG_DATABASE_PASSWORD_FILE`.

        Args:
            environment: Where to look; None for the environment of this process.

        Returns:
            The configuration; the default one if the variable is not set or empty.

        Raises:
            ValidationError: As `from_url` does, and if a file is named that has no use.
        """
        variables = os.environ if environment is None else environment
        url = variables.get(DATABASE_URL_VARIABLE, "")
        password_file = variables.get(PASSWORD_FILE_VARIABLE) or None
        if not url and password_file is None:
            return cls()
        try:
            return cls._from_url(url or cls().sqlite.description, password_file)
        except ValidationError as error:
            error.add_note(f"The URL is the value of {DATABASE_URL_VARIABLE}.")
            if password_file is not None:
                error.add_note(f"The password's file is the value of {PASSWORD_FILE_VARIABLE}.")
            raise
