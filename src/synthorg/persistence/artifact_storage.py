"""The protocol of a storage for the content of artifacts."""

from typing import Protocol, runtime_checkable

from synthorg.entities import NotBlankStr


@runtime_checkable
class ArtifactStorageBackend(Protocol):
    """The content of artifacts, by artifact id; `ArtifactRepository` holds what is known of them.

    Ids compare exactly: case, accents and trailing spaces matter. An id that could be more than a
    name to a file system is a ValueError on every method, before anything is touched: one that is
    blank, longer than 255 characters or made of dots, one with a slash, a backslash, a NUL or a
    drive, the names of Windows' devices, and what is no text. All else that fails is a
    PersistenceError.

    A write is atomic and durable: when it returns it survives a loss of power, and whatever
    interrupts it leaves either the old or the new content. A write that is cancelled is completed
    first if it has begun.
    """

    @property
    def backend_name(self) -> NotBlankStr:
        """The kind of storage, such as "filesystem"."""
        ...

    async def store(self, artifact_id: NotBlankStr, content: bytes) -> int:
        """Insert or replace the content of an artifact.

        The capacity of the storage holds for all contents together, also when several are stored
        at once; replacing counts the difference.

        Args:
            artifact_id: The artifact.
            content: The content, which may be empty.

        Returns:
            The size of the content in bytes.

        Raises:
            ArtifactTooLargeError: If the content exceeds the largest size for one artifact.
            ArtifactStorageFullError: If it would exceed the capacity, or the disk is full.
            UsageError: If the content is not bytes.
        """
        ...

    async def retrieve(self, artifact_id: NotBlankStr) -> bytes:
        """Return the content of an artifact.

        Raises:
            RecordNotFoundError: If no content is stored for it.
        """
        ...

    async def delete(self, artifact_id: NotBlankStr) -> bool:
        """Delete the content of an artifact, and return whether there was any."""
        ...

    async def exists(self, artifact_id: NotBlankStr) -> bool:
        """Tell whether content is stored for an artifact."""
        ...

    async def total_size(self) -> int:
        """Return the size of all stored content together, in bytes."""
        ...
