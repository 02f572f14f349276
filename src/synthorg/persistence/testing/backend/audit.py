"""What is particular to the audit trail; that it is append-only is a rule of the database."""

from datetime import timedelta

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES, MOMENT


class Audit:
    """What is particular to the audit trail; that it is append-only is a rule of the database."""

    async def test_a_query_without_a_limit_returns_the_newest_hundred(
        self,
        backend: PersistenceBackend,
    ) -> None:
        entries = [
            AUDIT_ENTRIES.altered(
                AUDIT_ENTRIES.keyed(str(number)), timestamp=MOMENT + timedelta(seconds=number)
            )
            for number in range(120)
        ]
        await AUDIT_ENTRIES.store(backend, *entries)
        newest_first = tuple(reversed(entries))
        assert await backend.audit_entries.query() == newest_first[:100]
        assert await backend.audit_entries.query(limit=1_000_000) == newest_first
        assert await backend.audit_entries.query(
            since=entries[5].timestamp, until=entries[7].timestamp
        ) == tuple(entries[7:4:-1])

    async def test_the_repository_offers_no_way_to_change_or_delete(
        self,
        backend: PersistenceBackend,
    ) -> None:
        for name in ("update", "delete", "delete_many", "clear"):
            assert not hasattr(backend.audit_entries, name)
