"""Which backend a configuration leads to."""

import pytest

from synthorg.persistence import PersistenceConfig, PersistenceConnectionError, create_backend
from synthorg.persistence.sqlite import SQLitePersistenceBackend


@pytest.mark.parametrize("backend", ["oracle", "postgresql"])
def test_a_copy_with_a_backend_that_has_no_section_is_refused_by_name(backend: str) -> None:
    config = PersistenceConfig().model_copy(update={"backend": backend})

    with pytest.raises(PersistenceConnectionError, match=f"'{backend}'.*sqlite, postgresql"):
        create_backend(config)


def test_on_sqlite_it_is_the_ready_made_backend() -> None:
    backend = create_backend(PersistenceConfig.from_url("sqlite://"))

    assert isinstance(backend, SQLitePersistenceBackend)


def test_on_a_server_it_is_that_of_the_section() -> None:
    backend = create_backend(PersistenceConfig.from_url("mysql://host/org"))

    assert backend.backend_name == "mysql"


def test_a_backend_shows_its_database_and_no_password() -> None:
    backend = create_backend(PersistenceConfig.from_url("mysql://ann:S3cret@host/org"))

    assert repr(backend) == "<SQLPersistenceBackend mysql://ann@host:3306/org, not connected>"


async def test_a_backend_its_repositories_and_its_units_say_what_they_are() -> None:
    async with create_backend(PersistenceConfig.from_url("sqlite://"), migrate=True) as backend:
        assert repr(backend) == ("<SQLitePersistenceBackend SQLite database :memory:, connected>")
        assert repr(backend.tasks) == "<SQLTaskRepository of the table tasks>"
        async with backend.transaction(read_only=True) as reading:
            assert repr(reading) == ("<SQLUnitOfWork SQLite database :memory:, read-only, open>")
        assert repr(reading).endswith("read-only, ended>")
