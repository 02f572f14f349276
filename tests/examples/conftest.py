"""What all tests of the examples start from: a git repository, and no configuration."""

from pathlib import Path

import pytest

from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.examples.git_repositories import ISOLATED, GitRepository


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ISOLATED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(DATABASE_URL_VARIABLE, raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "repository")
