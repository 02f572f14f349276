"""`synthorg-db check` sees what takes a guarantee of the schema away, and says what."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from synthorg.persistence import PersistenceConfig
from synthorg.persistence.sql.dialects.registry import create_dialect
from tests.cli.conftest import Command, command_on
from tests.conftest import ServerPool
from tests.servers.base import Server
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.sqlite import SQLiteFiles

KINDS: dict[str, type[Server]] = {each.name: each for each in (SQLiteFiles, PostgreSQL, MariaDB)}

TRIGGER = "audit_entries_refuse_update"
EMPTIED = """
CREATE OR REPLACE FUNCTION audit_entries_refuse() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RETURN coalesce(new, old)\\; END $$
"""
WEAKER = "CHECK (max_retries > -9)"
REPLACED_CHECK = f"""
ALTER TABLE tasks DROP CONSTRAINT ck_tasks_max_retries;
ALTER TABLE tasks ADD CONSTRAINT ck_tasks_max_retries {WEAKER}
"""
UNCHECKED = """
ALTER TABLE tasks DROP CONSTRAINT ck_tasks_max_retries;
ALTER TABLE tasks ADD CONSTRAINT ck_tasks_max_retries CHECK (max_retries >= 0) NOT VALID
"""
OTHER_REFERENCE = """
ALTER TABLE api_keys DROP CONSTRAINT fk_api_keys_user_id;
ALTER TABLE api_keys ADD CONSTRAINT fk_api_keys_user_id FOREIGN KEY (user_id) REFERENCES users (id)
"""
OTHER_COMPUTATION = """
ALTER TABLE users DROP COLUMN ceo_guard;
ALTER TABLE users ADD ceo_guard SMALLINT
GENERATED ALWAYS AS (CASE WHEN role = 'cto' THEN 1 END) STORED;
ALTER TABLE users ADD CONSTRAINT uq_users_ceo_guard UNIQUE (ceo_guard)
"""
ONE_COLUMN_ONLY = f"""
DROP TRIGGER {TRIGGER} ON audit_entries;
CREATE TRIGGER {TRIGGER} BEFORE UPDATE OF reason OR DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse();
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER {TRIGGER}
"""
SOME_ROWS_ONLY = f"""
DROP TRIGGER {TRIGGER} ON audit_entries;
CREATE TRIGGER {TRIGGER} BEFORE UPDATE OR DELETE ON audit_entries
FOR EACH ROW WHEN (OLD.id = 'a') EXECUTE FUNCTION audit_entries_refuse();
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER {TRIGGER}
"""
ON_ANOTHER_TABLE = f"""
DROP TRIGGER {TRIGGER} ON audit_entries;
CREATE TRIGGER {TRIGGER} BEFORE UPDATE OR DELETE ON tasks
FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse();
ALTER TABLE tasks ENABLE ALWAYS TRIGGER {TRIGGER}
"""

DEFERRABLE = """
ALTER TABLE tasks DROP CONSTRAINT tasks_pkey;
ALTER TABLE tasks ADD CONSTRAINT tasks_pkey PRIMARY KEY (id) DEFERRABLE
"""

POSTGRESQL = {
    "ALTER TABLE api_keys DISABLE TRIGGER ALL": "api_keys: its constraint fk_api_keys_user_id",
    "ALTER TABLE users DISABLE TRIGGER ALL": "api_keys: its constraint fk_api_keys_user_id",
    DEFERRABLE: "tasks: its constraint tasks_pkey is deferrable",
    "ALTER TABLE messages ALTER COLUMN timestamp TYPE timestamptz(3)": "timestamp loses the micro",
    "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey": "the primary key of the table tasks is not id",
    f"ALTER TABLE audit_entries DISABLE TRIGGER {TRIGGER}": TRIGGER,
    f"ALTER TABLE audit_entries ENABLE REPLICA TRIGGER {TRIGGER}": TRIGGER,
    f"ALTER TABLE audit_entries ENABLE TRIGGER {TRIGGER}": TRIGGER,
    "DROP TRIGGER audit_entries_refuse_truncate ON audit_entries": "audit_entries_refuse_truncate",
    ONE_COLUMN_ONLY: TRIGGER,
    SOME_ROWS_ONLY: TRIGGER,
    ON_ANOTHER_TABLE: TRIGGER,
    EMPTIED: TRIGGER,
    REPLACED_CHECK: "ck_tasks_max_retries of the table tasks is not CHECK (max_retries >= 0)",
    UNCHECKED: "ck_tasks_max_retries was never validated",
    OTHER_COMPUTATION: "ceo_guard of the table users is not computed as",
    "ALTER TABLE users ALTER COLUMN ceo_guard DROP EXPRESSION": "ceo_guard of the table users",
    OTHER_REFERENCE: "fk_api_keys_user_id",
    "ALTER TABLE users DROP CONSTRAINT uq_users_username": "uq_users_username",
    "ALTER TABLE cost_records ALTER COLUMN sequence_number DROP IDENTITY": "sequence_number",
    "ALTER TABLE tasks SET UNLOGGED": "tasks: it is unlogged",
    "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY": "tasks: row security",
    "CREATE RULE lost AS ON INSERT TO messages DO INSTEAD NOTHING": "messages: the rule lost",
    'ALTER TABLE settings ALTER COLUMN key TYPE varchar(255) COLLATE "default"': "settings: key is",
    "ALTER TABLE users ALTER COLUMN username DROP NOT NULL": "username",
    "ALTER TABLE users ALTER COLUMN username TYPE varchar(100)": "username",
    "ALTER TABLE users ALTER COLUMN username SET DEFAULT 'x'": "username of the table users has a",
}
MARIADB = {
    "ALTER TABLE cost_records MODIFY cost_usd DOUBLE(10, 2) NOT NULL": "cost_usd rounds its",
    """
    ALTER TABLE users DROP INDEX uq_users_username;
    ALTER TABLE users ADD CONSTRAINT uq_users_username UNIQUE (username(5))
    """: "users: uq_users_username compares only the beginning",
    "ALTER TABLE settings DROP PRIMARY KEY": "primary key of the table settings",
    REPLACED_CHECK: "ck_tasks_max_retries of the table tasks is not CHECK (max_retries >= 0)",
    "ALTER TABLE tasks DROP CONSTRAINT ck_tasks_max_retries": "lost its constraint",
    OTHER_COMPUTATION: "ceo_guard of the table users is not computed as",
    OTHER_REFERENCE.replace("CONSTRAINT fk", "FOREIGN KEY fk", 1): "fk_api_keys_user_id",
    "ALTER TABLE users DROP INDEX uq_users_username": "uq_users_username",
    "ALTER TABLE cost_records MODIFY sequence_number BIGINT NOT NULL": "no longer counted up",
    "ALTER TABLE messages MODIFY timestamp DATETIME NOT NULL": "loses the microseconds",
    "ALTER TABLE users MODIFY username VARCHAR(255) COLLATE utf8mb4_nopad_bin": "username",
    "ALTER TABLE users ALTER COLUMN username SET DEFAULT 'x'": "username of the table users has a",
}
IN_PLACE = "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, '{}', '{}')"
SQLITE = {
    """
    PRAGMA ignore_check_constraints = 1;
    INSERT INTO checkpoints VALUES ('c', 'e', 'a', 't', -1, '{}', '2026-01-01T00:00:00+00:00')
    """: "CHECK constraint failed in checkpoints",
    "DROP TRIGGER audit_entries_refuse_replace": "audit_entries_refuse_replace",
    """
    DROP TRIGGER audit_entries_refuse_update;
    CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT 1\\; END
    """: "audit_entries_refuse_update",
    """
    DROP TRIGGER audit_entries_refuse_update;
    CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON tasks
    BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only')\\; END
    """: "audit_entries_refuse_update",
    IN_PLACE.format("max_retries >= 0", "max_retries >= -9"): "is not CHECK (max_retries >= 0)",
    IN_PLACE.format(
        "name VARCHAR(255) NOT NULL", "name VARCHAR(255) COLLATE NOCASE NOT NULL"
    ): "custom_presets: custom_presets is defined with COLLATE NOCASE",
    IN_PLACE.format("PRIMARY KEY (agent_id)", "PRIMARY KEY (agent_id) ON CONFLICT IGNORE"): (
        "agent_states is defined with ON CONFLICT IGNORE"
    ),
    IN_PLACE.format("ON DELETE CASCADE", "ON DELETE SET NULL"): "api_keys",
    IN_PLACE.format("WHEN role = ''ceo''", "WHEN role = ''cto''"): "ceo_guard",
    IN_PLACE.format("username VARCHAR(255) NOT NULL", "username VARCHAR(255)"): "username",
    IN_PLACE.format(
        "username VARCHAR(255) NOT NULL", "username VARCHAR(255) DEFAULT 1 NOT NULL"
    ): "username of the table users has a default",
}
CHANGES = [
    (kind, script, said)
    for kind, changes in (("postgresql", POSTGRESQL), ("mariadb", MARIADB), ("sqlite", SQLITE))
    for script, said in changes.items()
]


@pytest.fixture
def url(server_pool: ServerPool, kind: str) -> Iterator[str]:
    """A database at the head revision."""
    with server_pool.get(KINDS[kind]).migrated_database() as url:
        yield url


@pytest.fixture
def command(url: str) -> Command:
    """Run `synthorg-db` on the database."""
    return command_on(url)


def execute(url: str, script: str) -> None:
    r"""Run statements, in which `\;` ends none."""

    async def run() -> None:
        engine = create_dialect(PersistenceConfig.from_url(url)).create_engine()
        async with engine.connect() as connection:
            for statement in script.replace("\\;", "\0").split(";"):
                await connection.execute(text(statement.replace("\0", ";").replace(":", "\\:")))
            await connection.commit()
        await engine.dispose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "script", "said"),
    CHANGES,
    ids=[f"{kind} {' '.join(script.split())[:70]}" for kind, script, _ in CHANGES],
)
def test_check_names_what_was_taken_away(
    command: Command, url: str, script: str, said: str
) -> None:
    execute(url, script)

    result = command("check")

    assert result.exit_code == 1, result.output
    assert said in result.stdout
