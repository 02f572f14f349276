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
