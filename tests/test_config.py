import string
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from synthorg.persistence.config import (
    MariaDBConfig,
    MySQLConfig,
    PersistenceConfig,
    PostgreSQLConfig,
    ServerConfig,
    SQLiteConfig,
    TLSConfig,
)

SECRET = "S3cretZ9"

storable = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1
).filter(lambda text: not text.isspace())
punctuation = st.text(st.sampled_from(string.punctuation + " é😀"), max_size=4)


def everything_shown(error: ValidationError) -> str:
    """Collect whatever a log or an error tracker would take from an error."""
    return "".join(
        [str(error), repr(error), repr(error.errors()), *traceback.format_exception(error)]
    )


def server(config: PersistenceConfig) -> ServerConfig:
    """Return the chosen section, which must be that of a server."""
    assert isinstance(config.section, ServerConfig)
    return config.section


def file(config: PersistenceConfig) -> SQLiteConfig:
    """Return the chosen section, which must be that of SQLite."""
    assert isinstance(config.section, SQLiteConfig)
    return config.section


def test_the_default_is_a_file_in_the_working_directory() -> None:
    config = PersistenceConfig()
    assert config.backend == "sqlite"
    assert config.section == SQLiteConfig(
        path="synthorg.db",
        wal_mode=True,
        journal_size_limit=67108864,
        synchronous="full",
        busy_timeout_seconds=30,
    )


def test_an_unknown_backend_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"sqlite.*postgresql.*mariadb.*mysql"):
        PersistenceConfig.model_validate({"backend": "oracle"})


@pytest.mark.parametrize("backend", ["postgresql", "mariadb", "mysql"])
def test_a_missing_section_of_the_chosen_backend_is_refused_by_name(backend: str) -> None:
    with pytest.raises(ValidationError, match=f"needs the section '{backend}'"):
        PersistenceConfig.model_validate({"backend": backend})


@pytest.mark.parametrize("section", [SQLiteConfig, TLSConfig, PersistenceConfig])
def test_an_unknown_key_is_refused(section: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="wal_node"):
        section.model_validate({"wal_node": True})


def test_a_configuration_cannot_be_changed_but_compared_and_hashed() -> None:
    config = PersistenceConfig(
        backend="mysql", mysql=MySQLConfig(database="org", password=SecretStr(SECRET))
    )
    with pytest.raises(ValidationError, match="frozen"):
        config.backend = "sqlite"  # type: ignore[misc]
    assert {config, config.model_copy()} == {config}


def test_the_chosen_section_is_the_one_of_the_backend() -> None:
    sections = {
        "sqlite": SQLiteConfig(path="a.db"),
        "postgresql": PostgreSQLConfig(database="b"),
        "mariadb": MariaDBConfig(database="c"),
        "mysql": MySQLConfig(database="d"),
    }
    for backend, section in sections.items():
        assert PersistenceConfig.model_validate({"backend": backend, **sections}).section is section


@pytest.mark.parametrize(
    "path",
    [
        *("", " ", "..", "../a.db", "a/../b.db", "a\\..\\b.db", "a\x00.db", "\ud800.db"),
        *("file:a.db", "FILE:a.db", " :memory:", ":memory: ", ":MEMORY:", ":memory:\n"),
    ],
)
def test_a_path_that_would_be_something_else_than_it_seems_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="path"):
        SQLiteConfig(path=path)


@pytest.mark.parametrize("path", [":memory:", "a..b.db", "...", "a b.db", "/x/é.db", "C:/x.db"])
def test_an_honest_path_is_kept_as_given(path: str) -> None:
    assert SQLiteConfig(path=path).path == path


@pytest.mark.parametrize(
    "values",
    [
        {"pool_size": 0},
        {"max_overflow": -1},
        {"port": 0},
        {"port": 65536},
        {"pool_timeout_seconds": 0},
        {"pool_timeout_seconds": "nan"},
        {"statement_timeout_seconds": "inf"},
        {"statement_timeout_seconds": 2**31 / 1000},
        {"application_name": "x" * 64},
        {"host": " "},
        {"password": "\x00"},
        {"password": SecretStr("\ud800")},
    ],
)
def test_a_value_that_no_server_accepts_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        PostgreSQLConfig.model_validate({"database": "org"} | values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "require", "ca": "ca.pem"}, "verify-full"),
        ({"ca": "ca.pem"}, "verify-full"),
        ({"certificate": "client.pem", "key": "client.key"}, "not used by mode 'off'"),
        ({"mode": "require", "certificate": "client.pem"}, "together"),
        ({"mode": "require", "key": "client.key"}, "together"),
        ({"mode": "prefer"}, "verify-full"),
    ],
)
def test_tls_settings_that_would_be_ignored_are_refused(
    values: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        TLSConfig.model_validate(values)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite:///file.db", "file.db"),
        ("SQLite:///file.db", "file.db"),
        ("sqlite:////var/lib/org.db", "/var/lib/org.db"),
        ("sqlite:///a b@c+d.db", "a b@c+d.db"),
        ("sqlite:///100%25%3F%23é%C3%A9.db", "100%?#éé.db"),
    ],
)
def test_a_sqlite_url_names_a_path(url: str, path: str) -> None:
    assert file(PersistenceConfig.from_url(url)).path == path


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///",
        "sqlite://file.db",
        "sqlite:///a%00.db",
        "sqlite:///a%ff.db",
        "sqlite:///%2E%2E/a.db",
        "sqlite:///a#b.db",
        "sqlite:///a.db?path=b.db",
        "sqlite:///a.db?wal_mode",
        "sqlite:///a.db?wal_mode=true&wal_mode=false",
        "sqlite:///a.db?wal_node=true",
        "sqlite:///a.db?tls_mode=require",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host:port/db",
        "postgresql://host:70000/db",
        "postgresql://::1/db",
        "postgresql://user:%ff@host/db",
        "postgresql://host/db\n",
        "postgresql://host/db?host=other",
        "postgresql://host/db?tls=require",
        "postgresql://host/db?tls=require&tls_mode=require",
        "postgresql://host/db?tls_mode=prefer",
        "postgresql://host/db?tls_version=1",
        "postgresql://host/db?driver=libpq",
        "postgresql://host/db?%ff=1",
        "mysql://host/db?driver=asyncpg",
        "oracle://host/db",
        "host/db",
        "",
    ],
)
def test_a_url_that_cannot_be_taken_literally_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        PersistenceConfig.from_url(url)


@pytest.mark.parametrize("url", [None, 5, b"sqlite://", Path("a.db")])
def test_a_url_is_some_text(url: Any) -> None:
    with pytest.raises(ValidationError, match="must be text"):
        PersistenceConfig.from_url(url)


def test_an_unknown_scheme_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"sqlite.*postgresql.*mariadb.*mysql"):
        PersistenceConfig.from_url("oracle://user:password@host/db")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("postgres://u:p@h/d", "postgresql://u:p@h/d"),
        ("Postgres://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d?driver=asyncpg"),
        ("postgresql+psycopg://u:p@h/d", "postgresql://u:p@h/d?driver=psycopg"),
        ("mysql+asyncmy://u:p@h/d", "mysql://u:p@h/d"),
        ("mariadb+asyncmy://u:p@h/d?charset=utf8mb4", "mariadb://u:p@h/d"),
        ("sqlite+aiosqlite:///x.db", "sqlite:///x.db"),
        ("postgres://h/d?sslmode=disable", "postgresql://h/d?tls_mode=off"),
        ("postgres://h/d?sslmode=require", "postgresql://h/d?tls_mode=require"),
        ("postgres://h/d?ssl=require", "postgresql://h/d?tls_mode=require"),
        (
            "postgres://h/d?sslmode=verify-full&sslrootcert=ca.pem&sslcert=c.pem&sslkey=c.key",
            "postgresql://h/d?tls_mode=verify-full&tls_ca=ca.pem&tls_certificate=c.pem&tls_key=c.key",
        ),
        ("postgres://?host=h&port=1&user=u&dbname=d", "postgresql://u@h:1/d"),
        ("mysql://h/d?ssl-mode=REQUIRED", "mysql://h/d?tls_mode=require"),
        (
            "mysql://h/d?sslaccept=strict&ssl_ca=ca.pem",
            "mysql://h/d?tls_mode=verify-full&tls_ca=ca.pem",
        ),
        ("mariadb://h/d?ssl_mode=VERIFY_IDENTITY", "mariadb://h/d?tls_mode=verify-full"),
        (
            "postgres://h/d?connect_timeout=5&channel_binding=prefer&gssencmode=disable",
            "postgresql://h/d?connect_timeout_seconds=5",
        ),
    ],
)
def test_another_spelling_of_the_same_is_understood(url: str, same: str) -> None:
    assert PersistenceConfig.from_url(url) == PersistenceConfig.from_url(same)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql+psycopg2://h/d", r"write postgresql:// or postgresql\+asyncpg://"),
        ("postgres+pg8000://h/d", r"write postgresql:// or postgresql\+asyncpg://"),
        ("mysql+pymysql://h/d", r"write mysql:// or mysql\+asyncmy://"),
        ("sqlite+pysqlite:///x.db", r"write sqlite:// or sqlite\+aiosqlite://"),
        ("sqlite3:///x.db", "sqlite:///file.db"),
        ("jdbc:postgresql://h/d", "postgresql://user:password@host/database"),
        ("postgres://h/d?sslmode=prefer", "sslmode=prefer would .* tls_mode=verify-full"),
        ("postgres://h/d?sslmode=allow", "sslmode=allow would .* tls_mode=verify-full"),
        ("postgres://h/d?sslmode=verify-ca", "sslmode=verify-ca would .* tls_mode=verify-full"),
        ("mysql://h/d?ssl-mode=PREFERRED", "ssl-mode=preferred would .* tls_mode=verify-full"),
        ("mysql://h/d?ssl-mode=VERIFY_CA", "ssl-mode=verify_ca would .* tls_mode=verify-full"),
        ("postgres://h/d?ssl=true", "ssl does not say whom to trust.*tls_mode=verify-full"),
        ('mysql://h/d?ssl={"rejectUnauthorized":false}', "ssl does not say whom to trust"),
        ("postgres://h/d?sslmode=require&tls_mode=off", "tls_mode twice"),
        ("postgres://h/d?sslmode=verify-full&ssl=disable", "tls_mode twice"),
        ("postgres://h/d?sslmode=require&sslrootcert=ca.pem", "verify-full"),
        ("postgres://h/d?sslmode=verify-full&sslrootcert=system", "tls_mode=verify-full"),
        ("postgres://h/d?channel_binding=require", "channel_binding .* tls_mode=verify-full"),
        ("postgres://h/d?gssencmode=require", "gssencmode cannot be required"),
        ("postgres://h/d?pgbouncer=true&pooler=session", "pooler twice"),
        ("postgres://h/d?options=-csearch_path%3Dx", "options .* ALTER ROLE"),
        ("postgres://h/d?connection_limit=5", "pool_size"),
        ("postgres://h/d?target_session_attrs=standby", "'any', 'read-write' or 'primary'"),
        ("mysql://a,b/d?target_session_attrs=primary", "'any' or 'read-write'"),
        ("postgres://u:p@a,,b/d", "name every one of several hosts"),
        ("postgres://u:p@:1,b:2/d", "name every one of several hosts"),
        ("postgres:///d?host=a,b", "write scheme://host:port,host:port/database"),
        ("mysql://h/d?unix_socket=/run/s", "host"),
        ("mysql://h/d?charset=latin1", "utf8mb4"),
        ("postgresql+asyncpg://h/d?driver=psycopg", "driver twice"),
        ("postgres://u@h/d?user=v", "username twice"),
        ("postgres://h/d?passfile=.pgpass", "password_file"),
        ("postgres://h/d?keepalives_idle=30", "leave it out"),
        ("postgres+asyncpg://h/d?command_timeout=5", "statement_timeout_seconds"),
        ("mysql://h/d?useSSL=true", "tls_mode=verify-full"),
        ("mysql://h/d?tls=true", "tls_mode=verify-full"),
        ("sqlite:///x.db?timeout=5", "busy_timeout_seconds"),
        ("sqlite:///x.db?check_same_thread=false", "leave it out"),
        ("sqlite:///x.db?mode=ro&uri=true", "mode is not supported"),
        ('"postgres://h/d"', "quotation marks"),
        ("postgres://h/d ", "blanks"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_to_write(url: str, advice: str) -> None:
    with pytest.raises(ValidationError, match=advice):
        PersistenceConfig.from_url(url)


@pytest.mark.parametrize(
    ("place", "hosts"),
    [
        ("a", [("a", 5432)]),
        ("a:1", [("a", 1)]),
        ("a,b:2", [("a", 5432), ("b", 2)]),
        ("u:p,p@a:1,[::1]:2,c", [("a", 1), ("::1", 2), ("c", 5432)]),
        ("%2Frun%2Fa,b%2Cc", [("/run/a", 5432), ("b,c", 5432)]),
    ],
)
def test_a_url_may_name_several_hosts(place: str, hosts: list[tuple[str, int]]) -> None:
    section = server(PersistenceConfig.from_url(f"postgresql://{place}/d"))
    assert [(host.name, host.port) for host in section.hosts] == hosts
    again = server(PersistenceConfig.from_url(section.description))
    assert again.hosts == section.hosts


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("postgresql://a/d", "any"),
        ("mariadb://a/d", "any"),
        ("postgresql://a,b/d", "read-write"),
        ("mariadb://a,b/d", "read-write"),
        ("postgresql://a,b/d?target_session_attrs=any", "any"),
        ("postgresql://a/d?target_session_attrs=primary", "primary"),
        ("mysql://a/d?target_session_attrs=read-write", "read-write"),
    ],
)
def test_of_several_hosts_one_has_to_take_writes_if_nothing_else_is_said(
    url: str, target: str
) -> None:
    assert server(PersistenceConfig.from_url(url)).target == target


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_url_may_name_replicas(scheme: str) -> None:
    query = "replicas=one,two:7,[::1]:8&reads=replica&replica_wait_seconds=0.5"
    section = PersistenceConfig.from_url(f"{scheme}://app@h:3/d?{query}").section
    assert isinstance(section, ServerConfig)
    assert (section.reads, section.replica_wait_seconds) == ("replica", 0.5)
    usual = type(section).model_fields["port"].default
    places = [(each.host, each.port) for each in section.of_replicas]
    assert places == [("one", usual), ("two", 7), ("::1", 8)]
    for each in section.of_replicas:
        assert type(each).model_validate({**each.model_dump(by_alias=True)}) == each
        assert (each.replicas, each.reads, each.target) == ((), "primary", "any")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://h/d?reads=replica", "must be 'primary' where no replicas are given"),
        ("postgresql://h/d?replicas=", "must be host:port,host:port"),
        ("postgresql://h/d?replicas=one,,two", "must be host:port,host:port"),
        ("postgresql://h/d?replicas=one:x", "must be host:port,host:port"),
        ("mysql://h/d?replicas=one", "on PostgreSQL and MariaDB alone"),
        ("sqlite:///f.db?replicas=one", "is for databases on servers"),
        ("sqlite:///f.db?reads=replica", "is for databases on servers"),
    ],
)
def test_replicas_that_could_not_be_read_are_refused(url: str, advice: str) -> None:
    with pytest.raises(ValidationError, match=advice):
        PersistenceConfig.from_url(url)


@pytest.mark.parametrize(
    ("query", "pooler"),
    [
        ("", None),
        ("?pooler=session", "session"),
        ("?pooler=transaction", "transaction"),
        ("?pgbouncer=true", "transaction"),
        ("?pgbouncer=false", None),
        ("?statement_cache_size=0&prepared_statement_cache_size=0", "transaction"),
        ("?prepared_statement_cache_size=100", None),
    ],
)
def test_a_url_names_the_pooler_in_between_in_several_ways(query: str, pooler: str | None) -> None:
    section = PersistenceConfig.from_url(f"postgres://h/d{query}").postgresql
    assert section is not None
    assert section.pooler == pooler


def test_a_pooler_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="pooler"):
        PersistenceConfig.from_url("postgres://h/d?pooler=statement")


@pytest.mark.parametrize("name", ["sslmode", "ssl", "channel_binding", "options", "charset"])
def test_the_value_of_a_refused_parameter_is_not_shown(name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PersistenceConfig.from_url(f"postgres://h/d?{name}={SECRET}")
    assert SECRET.lower() not in everything_shown(refusal.value).lower()


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(ValidationError, match=r"postgresql\.pool_sise"):
        PersistenceConfig.from_url("postgresql://host/db?pool_sise=3")


@pytest.mark.parametrize(
    ("scheme", "section", "port"),
    [
        ("postgresql", PostgreSQLConfig, 5432),
        ("mariadb", MariaDBConfig, 3306),
        ("mysql", MySQLConfig, 3306),
    ],
)
def test_a_server_url_sets_every_part_and_parameter(
    scheme: str, section: type[ServerConfig], port: int
) -> None:
    assert PersistenceConfig.from_url(f"{scheme}:///org").section == section.model_validate(
        {"host": "localhost", "port": port, "database": "org"}
    )
    config = PersistenceConfig.from_url(
        f"{scheme}://ann:{SECRET}@[2001:db8::1]:99/org?pool_size=5&max_overflow=2"
        "&connect_timeout_seconds=2.5&application_name=a%26b%3Dc&tls_mode=verify-full"
        "&tls_ca=/etc/ca.pem&tls_certificate=client.pem&tls_key=client.key"
    )
    assert config.backend == scheme
    assert config.section == section.model_validate(
        {
            "host": "2001:db8::1",
            "port": 99,
            "database": "org",
            "username": "ann",
            "password": SECRET,
            "pool_size": 5,
            "max_overflow": 2,
            "connect_timeout_seconds": 2.5,
            "application_name": "a&b=c",
            "tls": {
                "mode": "verify-full",
                "ca": "/etc/ca.pem",
                "certificate": "client.pem",
                "key": "client.key",
            },
        }
    )


@given(host=storable, database=storable, username=storable, password=storable)
def test_percent_encoded_parts_arrive_as_they_were(
    host: str, database: str, username: str, password: str
) -> None:
    url = "mysql://{}:{}@{}:1/{}".format(
        *(quote(part, safe="") for part in (username, password, host, database))
    )
    section = server(PersistenceConfig.from_url(url))
    assert (section.host, section.database, section.username) == (host, database, username)
    assert section.password == SecretStr(password)


@given(punctuation, punctuation, punctuation)
def test_a_password_that_is_not_encoded_is_understood_or_refused_but_never_shown(
    before: str, between: str, after: str
) -> None:
    password = f"{before}{SECRET[:4]}{between}{SECRET[4:]}{after}"
    try:
        config = PersistenceConfig.from_url(f"postgresql://ann:{password}@db.example/org")
    except ValidationError as error:
        shown = everything_shown(error)
        assert SECRET[:4] not in shown
        assert SECRET[4:] not in shown
    else:
        section = server(config)
        assert (section.host, section.database, section.username) == ("db.example", "org", "ann")
        assert section.password == SecretStr(password)


@given(host=storable, database=storable, username=st.none() | storable)
def test_a_description_leads_to_the_same_database(
    host: str, database: str, username: str | None
) -> None:
    section = PostgreSQLConfig(
        host=host, database=database, username=username, password=SecretStr(SECRET)
    )
    assert SECRET not in section.description
    again = server(PersistenceConfig.from_url(section.description))
    assert (again.host, again.port, again.database, again.username) == (
        (host, 5432, database, username)
    )


def test_a_description_reads_as_a_url() -> None:
    assert SQLiteConfig(path="/a b.db").description == "sqlite:////a%20b.db"
    assert SQLiteConfig(path=":memory:").description == "sqlite://"
    assert (
        MariaDBConfig(host="::1", database="org", username="ann").description
        == "mariadb://ann@[::1]:3306/org"
    )


def test_a_configuration_never_shows_its_password() -> None:
    config = PersistenceConfig.from_url(f"mysql://ann:{SECRET}@host/db")
    shown = f"{config!r}{config}{config.section!r}{config.model_dump()}{config.model_dump_json()}"
    assert SECRET not in shown


@pytest.mark.parametrize(
    "values",
    [
        {"backend": "mysql", "mysql": {"password": SECRET}},
        {"backend": "mysql", "postgresql": {"database": "db", "password": SECRET}},
        {"backend": SECRET, "mysql": {"database": "db", "password": SECRET}},
        {"backend": "mysql", "mysql": {"database": "db", "password": {SECRET: SECRET}}},
        {"backend": "mysql", "mysql": {"database": "db", "port": SECRET}},
        {"backend": "mysql", "mysql": {"database": "db", "passwort": SECRET}},
        {"backend": "mysql", "mysql": SECRET},
    ],
)
def test_an_invalid_configuration_never_shows_its_password(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        PersistenceConfig.model_validate(values)
    assert SECRET not in everything_shown(caught.value)


def test_a_configuration_from_json_hides_its_password_too() -> None:
    config = MySQLConfig.model_validate_json(f'{{"database": "db", "password": "{SECRET}"}}')
    assert config.password == SecretStr(SECRET)
    with pytest.raises(ValidationError) as caught:
        MySQLConfig.model_validate_json(f'{{"password": "{SECRET}"}}')
    assert SECRET not in everything_shown(caught.value)


@pytest.mark.parametrize("environment", [{}, {"SYNTHORG_DATABASE_URL": ""}])
def test_without_the_variable_the_environment_means_the_default(
    environment: dict[str, str],
) -> None:
    assert PersistenceConfig.from_env(environment) == PersistenceConfig()


def test_the_variable_is_read_from_the_environment_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYNTHORG_DATABASE_URL", "sqlite:///company.db?synchronous=normal")
    assert PersistenceConfig.from_env().section == SQLiteConfig(
        path="company.db", synchronous="normal"
    )


def test_an_error_in_the_variable_names_the_variable() -> None:
    with pytest.raises(ValidationError) as caught:
        PersistenceConfig.from_env({"SYNTHORG_DATABASE_URL": f"postgresql://ann:{SECRET}@host"})
    shown = everything_shown(caught.value)
    assert "SYNTHORG_DATABASE_URL" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb", "mysql"])
def test_the_password_of_the_environment_may_be_in_a_file(scheme: str) -> None:
    config = PersistenceConfig.from_env(
        {
            "SYNTHORG_DATABASE_URL": f"{scheme}://ann@host/x",
            "SYNTHORG_DATABASE_PASSWORD_FILE": "/run/secrets/password",
        }
    )
    assert server(config).password_file == "/run/secrets/password"
    assert config == PersistenceConfig.from_url(
        f"{scheme}://ann@host/x?password_file=/run/secrets/password"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"postgresql://ann:{SECRET}@host/x", "either the password or its file"),
        ("postgresql://ann@host/x?password_file=/a", "password_file twice"),
        ("sqlite:///x.db", "SQLite has no passwords"),
        ("", "SQLite has no passwords"),
        ("oracle://host/x", "sqlite.*postgresql"),
    ],
)
def test_a_password_file_that_would_not_be_used_is_refused(url: str, reason: str) -> None:
    variables = {
        "SYNTHORG_DATABASE_URL": url,
        "SYNTHORG_DATABASE_PASSWORD_FILE": "/run/secrets/password",
    }
    with pytest.raises(ValidationError, match=reason) as caught:
        PersistenceConfig.from_env(variables)
    shown = everything_shown(caught.value)
    assert "SYNTHORG_DATABASE_PASSWORD_FILE" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("url", ["sqlite:///x.db", "postgresql://host/x", "mariadb://host/x"])
def test_tables_may_have_a_prefix_on_every_database(url: str) -> None:
    assert PersistenceConfig.from_url(f"{url}?table_prefix=app_").section.table_prefix == "app_"
    assert PersistenceConfig.from_url(url).section.table_prefix == ""


@pytest.mark.parametrize(
    ("prefix", "complaint"),
    [
        ("App_", "must be of small letters, digits and underscores"),
        ("my-app_", "must be of small letters, digits and underscores"),
        ("1_", "not begin with a digit"),
        ("app.", "must be of small letters, digits and underscores"),
        ("app_\n", "must be of small letters, digits and underscores"),
        ("organisation_", "must have at most 10 characters"),
        ("sqlite_", "must not begin with 'sqlite_'"),
    ],
)
def test_a_prefix_that_makes_no_usable_names_is_refused(prefix: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        SQLiteConfig(table_prefix=prefix)
    with pytest.raises(ValidationError, match=complaint):
        PostgreSQLConfig(database="x", table_prefix=prefix)
