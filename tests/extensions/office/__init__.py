"""A second extension, whose tables refer to those of the first."""

from synthorg.persistence.extension import Entity, Extension, Key, KeyedRepository, ListQuery, Text
from tests.extensions.ledger import approvals


class Note(Entity):
    """What somebody said about an approval."""

    id: Key
    approval_id: Key
    text: Text = ""


office = Extension("office", migrations="tests.extensions.office:migrations")

notes = office.table(
    Note,
    name="notes",
    key="id",
    indexes=[("approval_id", "id")],
    references={"approval_id": approvals.c.id},
)


class NoteRepository(KeyedRepository[Note]):
    """The notes."""

    table = notes
    record = Note
    listing = ListQuery(notes, Note, order_by=("id",), filters=("approval_id",))
