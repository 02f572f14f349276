"""What is particular to parked contexts."""

from datetime import timedelta

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import MOMENT, PARKED_CONTEXTS


class ParkedContexts:
    """What is particular to parked contexts."""

    async def test_of_several_contexts_for_one_approval_the_latest_is_returned(
        self,
        backend: PersistenceBackend,
    ) -> None:
        first, second, third = (
            PARKED_CONTEXTS.make(id=id_, parked_at=MOMENT + timedelta(microseconds=delay))
            for id_, delay in (("c", 0), ("a", 1), ("b", 1))
        )
        await PARKED_CONTEXTS.store(backend, second, third, first)
        approval_id = first.approval_id
        for latest in (third, second, first):
            assert await backend.parked_contexts.get_by_approval(approval_id) == latest
            await backend.parked_contexts.delete(latest.id)
        assert await backend.parked_contexts.get_by_approval(approval_id) is None

    async def test_a_context_is_kept_byte_for_byte(self, backend: PersistenceBackend) -> None:
        texts = (
            '{"a":1,"a":2}',
            "\n[ ]\t",
            '"\\u0000\\ud800"',
            "1e999",
            '{"z": 0.10, "a": "\u00e9"}',
        )
        for text in texts:
            await backend.parked_contexts.save(PARKED_CONTEXTS.make(context_json=text))
            stored = await backend.parked_contexts.get(PARKED_CONTEXTS.example.id)
            assert stored is not None
            assert stored.context_json == text
