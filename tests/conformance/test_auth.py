"""What is particular to users and their API keys."""

from synthorg.persistence.testing.concurrency import outcomes
from synthorg.persistence.testing.kinds import USERS
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.units import neighbour_of
from tests.servers.base import Server


async def test_saves_of_the_same_user_at_once_all_succeed(
    backend: TransactionalBackend, server: Server, migrated_url: str
) -> None:
    """On several connections, which collide as those of several processes do."""
    async with neighbour_of(backend, server, migrated_url) as neighbour:
        for round_ in range(5):
            user = USERS.keyed(str(round_))
            versions = [
                USERS.altered(user, must_change_password=flag) for flag in (True, False) * 4
            ]
            savers = (backend.users.save, neighbour.users.save) * 4
            errors = await outcomes(
                save(version) for save, version in zip(savers, versions, strict=True)
            )
            assert set(errors) == {None}
            assert await backend.users.get(user.id) in versions
