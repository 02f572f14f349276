"""What is particular to messages."""

from synthorg.entities import Message
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.testing.kinds import MESSAGES


class Messages:
    """What is particular to messages."""

    async def test_the_limit_takes_the_newest_messages_of_the_channel(
        self,
        backend: PersistenceBackend,
    ) -> None:
        messages = [MESSAGES.keyed(str(number)) for number in range(20)]
        await MESSAGES.store(backend, *messages)
        history = await backend.messages.get_history(MESSAGES.example.channel)
        assert list(history) == messages[::-1]
        for limit in (1, 19, 20, 21):
            newest = await backend.messages.get_history(MESSAGES.example.channel, limit=limit)
            assert newest == history[:limit]

    async def test_a_message_from_json_is_stored_with_its_sender(
        self, backend: PersistenceBackend
    ) -> None:
        message = Message.model_validate_json(MESSAGES.example.model_dump_json())
        await backend.messages.save(message)
        (stored,) = await backend.messages.get_history(message.channel)
        assert stored.sender == MESSAGES.example.sender
        assert stored.model_dump_json() == message.model_dump_json()
