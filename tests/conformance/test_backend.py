"""The library's own backend keeps what is promised of every backend."""

from synthorg.persistence.testing.backend import BackendConformance


class TestBackend(BackendConformance):
    """On every database."""
