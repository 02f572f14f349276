"""What is particular to users and their API keys."""

from datetime import timedelta

import pytest

from synthorg.entities import SYSTEM_USER_ID, HumanRole, User
from synthorg.persistence import (
    DuplicateRecordError,
    InvalidArgumentError,
    PersistenceBackend,
    QueryError,
)
from synthorg.persistence.testing.concurrency import outcomes
from synthorg.persistence.testing.kinds import API_KEYS, LATER, MOMENT, USERS

SYSTEM = USERS.make(id=SYSTEM_USER_ID, username="system", role=HumanRole.SYSTEM)

ADA = USERS.make(id="ada", username="ada", role=HumanRole.CEO)

GRACE = USERS.make(id="grace", username="grace")


class Users:
    """What is particular to users and their API keys."""

    async def test_the_system_user_is_found_but_neither_listed_nor_counted(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await USERS.store(backend, SYSTEM, ADA, GRACE)
        assert await backend.users.list_users() == (ADA, GRACE)
        assert await backend.users.count() == 2
        assert await backend.users.get(SYSTEM_USER_ID) == SYSTEM
        assert await backend.users.get_by_username("system") == SYSTEM

    async def test_counting_by_role_includes_the_role_system(
        self, backend: PersistenceBackend
    ) -> None:
        users = [
            USERS.altered(USERS.keyed(f"{role} {number}"), role=role)
            for role, count in {
                HumanRole.CEO: 1,
                HumanRole.MANAGER: 3,
                HumanRole.OBSERVER: 2,
                HumanRole.SYSTEM: 2,
            }.items()
            for number in range(count)
        ]
        await USERS.store(backend, *users)
        counts = [await backend.users.count_by_role(role) for role in HumanRole]
        assert dict(zip(HumanRole, counts, strict=True)) == {
            HumanRole.CEO: 1,
            HumanRole.MANAGER: 3,
            HumanRole.BOARD_MEMBER: 0,
            HumanRole.PAIR_PROGRAMMER: 0,
            HumanRole.OBSERVER: 2,
            HumanRole.SYSTEM: 2,
        }
        assert await backend.users.count() == 6

    async def test_the_system_user_cannot_be_deleted(self, backend: PersistenceBackend) -> None:
        for _ in range(2):  # whether or not it exists
            with pytest.raises(InvalidArgumentError, match=r"users.*system user"):
                await backend.users.delete(SYSTEM_USER_ID)
            await USERS.store(backend, SYSTEM)
        assert await backend.users.get(SYSTEM_USER_ID) == SYSTEM

    async def test_another_user_of_role_system_can_be_deleted(
        self, backend: PersistenceBackend
    ) -> None:
        await USERS.store(backend, USERS.make(role=HumanRole.SYSTEM))
        assert await backend.users.delete(USERS.example.id)

    @pytest.mark.parametrize(
        "intruder",
        [
            USERS.altered(GRACE, id="new", password_hash="new"),
            USERS.altered(ADA, username="grace", password_hash="new"),
            USERS.altered(GRACE, role=HumanRole.CEO, password_hash="new"),
            USERS.make(id="new", username="new", role=HumanRole.CEO),
            USERS.make(id="new", username="grace", role=HumanRole.CEO),
        ],
        ids=[
            "a new user with a taken username",
            "a user who takes another's username",
            "a user who becomes the second ceo",
            "a new user who is the second ceo",
            "a new user with both",
        ],
    )
    async def test_a_user_who_takes_what_another_has_is_refused_and_changes_nobody(
        self, backend: PersistenceBackend, intruder: User
    ) -> None:
        await USERS.store(backend, ADA, GRACE)
        with pytest.raises(DuplicateRecordError, match="cannot save users"):
            await backend.users.save(intruder)
        assert await backend.users.list_users() == (ADA, GRACE)

    async def test_the_office_of_the_ceo_can_be_handed_over(
        self, backend: PersistenceBackend
    ) -> None:
        await USERS.store(backend, ADA, GRACE)
        await backend.users.save(ADA)  # who is the ceo already
        await backend.users.save(USERS.altered(ADA, role=HumanRole.MANAGER))
        await backend.users.save(USERS.altered(GRACE, role=HumanRole.CEO))
        assert await backend.users.delete("grace")
        await backend.users.save(ADA)
        assert await backend.users.count_by_role(HumanRole.CEO) == 1

    async def test_a_username_is_free_again_after_its_user_is_renamed_or_deleted(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await USERS.store(backend, ADA, GRACE)
        await backend.users.save(USERS.altered(ADA, username="countess"))
        await backend.users.save(USERS.altered(GRACE, username="ada"))
        assert await backend.users.delete("ada")
        await backend.users.save(USERS.make(id="new", username="countess"))
        assert await backend.users.get_by_username("grace") is None

    async def test_of_many_who_become_ceo_at_once_one_does(
        self, backend: PersistenceBackend
    ) -> None:
        candidates = [
            USERS.altered(USERS.keyed(str(number)), role=HumanRole.CEO) for number in range(12)
        ]
        results = await outcomes(backend.users.save(candidate) for candidate in candidates)
        winner = [user for user, error in zip(candidates, results, strict=True) if error is None]
        assert len(winner) == 1
        assert {type(error) for error in results if error is not None} == {DuplicateRecordError}
        assert list(await backend.users.list_users()) == winner

    async def test_of_many_who_take_a_username_at_once_one_gets_it(
        self, backend: PersistenceBackend
    ) -> None:
        candidates = [USERS.make(id=str(number), username="root") for number in range(12)]
        results = await outcomes(backend.users.save(candidate) for candidate in candidates)
        winner = [user for user, error in zip(candidates, results, strict=True) if error is None]
        assert len(winner) == 1
        assert {type(error) for error in results if error is not None} == {DuplicateRecordError}
        assert await backend.users.get_by_username("root") == winner[0]
        assert await backend.users.count() == 1

    async def test_a_key_of_an_unknown_user_is_refused(self, backend: PersistenceBackend) -> None:
        with pytest.raises(QueryError, match=r"api_keys.*refers to a record that does not exist"):
            await backend.api_keys.save(API_KEYS.example)
        assert await backend.api_keys.get(API_KEYS.example.id) is None
        await API_KEYS.store(backend, API_KEYS.example)
        with pytest.raises(QueryError, match="api_keys"):
            await backend.api_keys.save(API_KEYS.make(user_id="unknown", revoked=False))
        assert await backend.api_keys.get(API_KEYS.example.id) == API_KEYS.example

    async def test_a_key_with_a_taken_hash_is_refused_and_changes_no_key(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await API_KEYS.store(backend, API_KEYS.example, API_KEYS.keyed("other"))
        for intruder in (
            API_KEYS.make(id="new"),
            API_KEYS.altered(API_KEYS.keyed("other"), key_hash=API_KEYS.example.key_hash),
        ):
            with pytest.raises(DuplicateRecordError, match="cannot save api_keys"):
                await backend.api_keys.save(intruder)
        keys = {API_KEYS.example, API_KEYS.keyed("other")}
        assert set(await backend.api_keys.list_by_user(API_KEYS.example.user_id)) == keys
        assert await backend.api_keys.get_by_hash(API_KEYS.example.key_hash) == API_KEYS.example

    async def test_a_revoked_and_expired_key_is_still_found_by_its_hash(
        self,
        backend: PersistenceBackend,
    ) -> None:
        key = API_KEYS.make(revoked=True, expires_at=MOMENT - timedelta(days=1))
        await API_KEYS.store(backend, key)
        assert await backend.api_keys.get_by_hash(key.key_hash) == key

    async def test_the_keys_of_a_deleted_user_are_deleted_and_no_others(
        self,
        backend: PersistenceBackend,
    ) -> None:
        keys = [
            API_KEYS.altered(API_KEYS.keyed(f"{user} {number}"), user_id=user, created_at=LATER)
            for user in ("ada", "grace")
            for number in range(3)
        ]
        await API_KEYS.store(backend, *keys)
        assert await backend.users.delete("ada")
        assert await backend.api_keys.list_by_user("ada") == ()
        assert [await backend.api_keys.get(key.id) for key in keys] == [None] * 3 + keys[3:]
        assert await backend.api_keys.get_by_hash(keys[0].key_hash) is None

    async def test_saving_a_user_again_keeps_the_keys(self, backend: PersistenceBackend) -> None:
        await API_KEYS.store(backend, API_KEYS.example)
        await backend.users.save(USERS.make(id=API_KEYS.example.user_id, username="renamed"))
        assert await API_KEYS.stored(backend, API_KEYS.example) == API_KEYS.example

    async def test_neither_hash_shows_in_the_repr_of_what_is_read(
        self, backend: PersistenceBackend
    ) -> None:
        await API_KEYS.store(backend, API_KEYS.example)
        key = await backend.api_keys.get(API_KEYS.example.id)
        user = await backend.users.get(API_KEYS.example.user_id)
        assert key is not None
        assert user is not None
        assert key.key_hash not in repr(key)
        assert user.password_hash not in repr(user)
