"""What is particular to settings: two parts of a key, and compare-and-swap."""

import pytest

from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.awkward import KEYS, LOOKALIKES
from synthorg.persistence.testing.concurrency import together

RACERS = 20


class Settings:
    """What is particular to settings: two parts of a key, and compare-and-swap."""

    async def test_namespaces_that_look_alike_are_different_namespaces(
        self,
        backend: PersistenceBackend,
    ) -> None:
        for number, namespace in enumerate(LOOKALIKES):
            await backend.settings.set(namespace, "limit", str(number), "now")
        for number, namespace in enumerate(LOOKALIKES):
            assert await backend.settings.get(namespace, "limit") == (str(number), "now")
            assert await backend.settings.get_namespace(namespace) == (
                ("limit", str(number), "now"),
            )
        assert await backend.settings.delete_namespace(LOOKALIKES[0]) == 1
        assert len(await backend.settings.get_all()) == len(LOOKALIKES) - 1

    async def test_namespace_and_key_are_not_run_together(
        self, backend: PersistenceBackend
    ) -> None:
        await backend.settings.set("a", "bc", "1", "now")
        await backend.settings.set("ab", "c", "2", "now")
        assert await backend.settings.get("a", "bc") == ("1", "now")
        assert await backend.settings.get("ab", "c") == ("2", "now")
        assert await backend.settings.get("abc", "") is None

    async def test_a_swap_changes_the_setting_of_its_namespace_and_key_alone(
        self,
        backend: PersistenceBackend,
    ) -> None:
        for namespace, key in (("a", "1"), ("a", "2"), ("b", "1")):
            await backend.settings.set(namespace, key, "old", "then")
        assert await backend.settings.set("a", "1", "new", "now", expected_updated_at="then")
        assert await backend.settings.get_all() == (
            ("a", "1", "new", "now"),
            ("a", "2", "old", "then"),
            ("b", "1", "old", "then"),
        )

    async def test_all_settings_are_listed_by_namespace_and_then_by_key(
        self,
        backend: PersistenceBackend,
    ) -> None:
        for namespace in KEYS[::7]:
            for key in KEYS[::5]:
                await backend.settings.set(namespace, key, "", "")
        expected = sorted((namespace, key, "", "") for namespace in KEYS[::7] for key in KEYS[::5])
        assert await backend.settings.get_all() == tuple(expected)

    async def test_a_namespace_is_deleted_as_a_whole_and_counted(
        self, backend: PersistenceBackend
    ) -> None:
        for key in "abc":
            await backend.settings.set("budget", key, "1", "now")
        await backend.settings.set("Budget", "a", "1", "now")
        assert await backend.settings.delete_namespace("budget") == 3
        assert await backend.settings.delete_namespace("budget") == 0
        assert await backend.settings.get_all() == (("Budget", "a", "1", "now"),)

    @pytest.mark.parametrize(
        "text", ["", " ", "2024-03-01T12:00:00Z", "\u00e9\U0001f98a'\\", "x" * 255]
    )
    async def test_values_and_times_come_back_exactly_as_given(
        self, backend: PersistenceBackend, text: str
    ) -> None:
        assert await backend.settings.set("budget", "limit", text, text) is True
        assert await backend.settings.get("budget", "limit") == (text, text)

    async def test_a_setting_is_written_over_the_version_that_was_expected(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await backend.settings.set("budget", "limit", "100", "v1")
        swap = backend.settings.set
        assert await swap("budget", "limit", "200", "v2", expected_updated_at="v1") is True
        assert await swap("budget", "limit", "300", "v3", expected_updated_at="v1") is False
        assert await backend.settings.get("budget", "limit") == ("200", "v2")

    @pytest.mark.parametrize("expected", ["V1", "v1 ", " v1", "v", "v10", ""])
    async def test_a_version_that_only_looks_like_the_stored_one_is_another(
        self, backend: PersistenceBackend, expected: str
    ) -> None:
        await backend.settings.set("budget", "limit", "100", "v1")
        written = await backend.settings.set(
            "budget", "limit", "200", "v2", expected_updated_at=expected
        )
        assert written is False
        assert await backend.settings.get("budget", "limit") == ("100", "v1")

    async def test_writing_over_the_same_version_with_the_same_version_succeeds(
        self,
        backend: PersistenceBackend,
    ) -> None:
        await backend.settings.set("budget", "limit", "100", "v1")
        for _ in range(2):  # even where nothing changes
            written = await backend.settings.set(
                "budget", "limit", "100", "v1", expected_updated_at="v1"
            )
            assert written is True

    async def test_no_version_can_be_expected_of_a_setting_that_does_not_exist(
        self,
        backend: PersistenceBackend,
    ) -> None:
        written = await backend.settings.set("budget", "limit", "1", "v1", expected_updated_at="v0")
        assert written is False
        assert await backend.settings.get("budget", "limit") is None

    async def test_the_empty_version_writes_only_where_there_is_nothing(
        self,
        backend: PersistenceBackend,
    ) -> None:
        assert (
            await backend.settings.set("budget", "limit", "1", "v1", expected_updated_at="") is True
        )
        assert (
            await backend.settings.set("budget", "limit", "2", "v2", expected_updated_at="")
            is False
        )
        await backend.settings.set("budget", "limit", "3", "")
        # Even where the stored version is empty, there is a setting.
        assert (
            await backend.settings.set("budget", "limit", "4", "v4", expected_updated_at="")
            is False
        )
        assert await backend.settings.get("budget", "limit") == ("3", "")

    @pytest.mark.parametrize("expected", ["", "v0"])
    async def test_of_many_that_expect_the_same_version_exactly_one_writes(
        self, backend: PersistenceBackend, expected: str
    ) -> None:
        for number in range(5):
            key = f"limit-{number}"
            if expected:
                await backend.settings.set("budget", key, "0", expected)
            written = await together(
                backend.settings.set(
                    "budget", key, str(racer), f"v{racer + 1}", expected_updated_at=expected
                )
                for racer in range(RACERS)
            )
            assert sorted(written) == [False] * (RACERS - 1) + [True]
            winner = written.index(True)
            assert await backend.settings.get("budget", key) == (str(winner), f"v{winner + 1}")

    async def test_a_counter_under_compare_and_swap_loses_no_step(
        self, backend: PersistenceBackend
    ) -> None:
        await backend.settings.set("budget", "count", "0", "0")

        async def count_up() -> None:
            while True:
                stored = await backend.settings.get("budget", "count")
                assert stored is not None
                more = str(int(stored[0]) + 1)
                if await backend.settings.set(
                    "budget", "count", more, more, expected_updated_at=stored[1]
                ):
                    return

        assert await together(count_up() for _ in range(RACERS)) == [None] * RACERS
        assert await backend.settings.get("budget", "count") == (str(RACERS), str(RACERS))
