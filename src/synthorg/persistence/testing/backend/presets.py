"""What is particular to personality presets."""

from synthorg.entities import PresetListRow, PresetRow
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.awkward import LOOKALIKES
from synthorg.persistence.testing.kinds import PRESETS


class Presets:
    """What is particular to personality presets."""

    async def test_presets_are_counted(self, backend: PersistenceBackend) -> None:
        for number, name in enumerate(LOOKALIKES):
            assert await backend.custom_presets.count() == number
            await PRESETS.store(backend, PRESETS.keyed(name))
        await PRESETS.store(backend, PRESETS.keyed(LOOKALIKES[0]))
        assert await backend.custom_presets.count() == len(LOOKALIKES)
        await backend.custom_presets.delete(LOOKALIKES[0])
        assert await backend.custom_presets.count() == len(LOOKALIKES) - 1

    async def test_presets_are_rows_of_the_text_that_was_given(
        self, backend: PersistenceBackend
    ) -> None:
        await backend.custom_presets.save("kind", "{ }", "", "first", "second")
        preset = await backend.custom_presets.get("kind")
        assert type(preset) is PresetRow
        assert preset == PresetRow("{ }", "", "first", "second")
        (listed,) = await backend.custom_presets.list_all()
        assert type(listed) is PresetListRow
        assert listed == PresetListRow("kind", "{ }", "", "first", "second")
