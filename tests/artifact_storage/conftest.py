from pathlib import Path

import pytest

from synthorg.persistence.filesystem_artifact_storage import FileSystemArtifactStorage


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "company" / "data"


@pytest.fixture
def storage(data_dir: Path) -> FileSystemArtifactStorage:
    return FileSystemArtifactStorage(data_dir)
