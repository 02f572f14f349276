"""A backup or a restore that is killed leaves what was there, all, or what says what to do."""

import asyncio
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final

from typer.testing import CliRunner

from synthorg.persistence import ManagedBackend, PersistenceConfig
from synthorg.persistence.cli.app import app
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.transfer import back_up, compare_databases, restore
from tests.extensions.conftest import EXTENSIONS
from tests.transfer.conftest import copy, run
from tests.transfer.test_kills import PATIENCE_SECONDS, ROUNDS, fill_more

Work = Callable[[str, Path], None]

BEGUN: Final = "begun"


def config(url: str) -> PersistenceConfig:
    return PersistenceConfig.from_url(url)


def back_up_to(url: str, file: Path) -> None:
    asyncio.run(back_up(config(url), file, extensions=EXTENSIONS, overwrite=True))


def restore_from(url: str, file: Path) -> None:
    asyncio.run(restore(file, config(url), extensions=EXTENSIONS, overwrite=True))


def tell_and_work(work: Work, url: str, file: Path, tell: Callable[[str], None]) -> None:
    """Do something, telling the parent when it begins."""
    tell(BEGUN)
    work(url, file)


def seconds_of(work: Work, url: str, file: Path, *, killed_after: float | None = None) -> float:
    """Do something in a process of its own, and kill it when some seconds are over."""
    fresh = get_context("forkserver")  # imports once, and shares nothing with this process
    fresh.set_forkserver_preload([__name__])
    receiver, sender = fresh.Pipe(duplex=False)
    process = fresh.Process(target=tell_and_work, args=(work, url, file, sender.send))
    process.start()
    sender.close()
    with receiver:
        assert receiver.poll(PATIENCE_SECONDS)
        receiver.recv()
    began = time.monotonic()
    process.join(PATIENCE_SECONDS if killed_after is None else killed_after)
    taken = time.monotonic() - began
    process.kill()
    process.join(PATIENCE_SECONDS)
    assert killed_after is not None or process.exitcode == 0
    return taken


def are_the_same(first: str, second: str) -> bool:
    compared = asyncio.run(compare_databases(config(first), config(second), extensions=EXTENSIONS))
    return not compared.differences


def moments(seconds: float, seed: str) -> list[float]:
    """Choose a moment in each of some equal parts of a time."""
    random = Random(seed)
    return [seconds * (part + random.random()) / ROUNDS for part in range(ROUNDS)]


def says_it_is_unfinished(url: str) -> bool:
    outcomes = [CliRunner().invoke(app, [name, "--database", url]) for name in ("check", "status")]
    return all(each.exit_code == 1 and "has not ended" in each.output for each in outcomes)


def has_all_and_what_was_saved_later(url: str, source: str) -> bool:
    """Tell whether a database differs by the one task alone."""
    found = asyncio.run(compare_databases(config(source), config(url), extensions=EXTENSIONS))
    (difference,) = found.differences
    kept = []

    async def remove(backend: ManagedBackend) -> None:
        kept.append(await backend.tasks.delete("saved later"))

    run(url, remove)
    return difference.name == "tasks" and kept == [True] and are_the_same(url, source)


def test_a_backup_killed_at_any_moment_leaves_the_one_before_or_the_new_one(
    source: str, target: str, tmp_path: Path
) -> None:
    run(source, fill_more)
    copy(source, target)
    file = tmp_path / "backup.db"
    seconds = seconds_of(back_up_to, target, file)
    before = file.read_bytes()
    run(target, lambda backend: backend.tasks.save(TASKS.make(id="saved later")))
    for moment in moments(seconds, target.partition(":")[0]):
        seconds_of(back_up_to, target, file, killed_after=moment)
        assert file.read_bytes() == before or are_the_same(f"sqlite:///{file}", target)

    seconds_of(back_up_to, target, file)
    assert are_the_same(f"sqlite:///{file}", target)


def test_a_restore_killed_at_any_moment_leaves_no_half_that_does_not_say_so(
    source: str, target: str, tmp_path: Path
) -> None:
    run(source, fill_more)
    file = tmp_path / "backup.db"
    back_up_to(source, file)
    copy(source, target)
    seconds = seconds_of(restore_from, target, file)
    for moment in moments(seconds, target.partition(":")[0]):
        run(target, lambda backend: backend.tasks.save(TASKS.make(id="saved later")))
        seconds_of(restore_from, target, file, killed_after=moment)
        if not says_it_is_unfinished(target):
            assert are_the_same(target, source) or has_all_and_what_was_saved_later(target, source)

        seconds_of(restore_from, target, file)
        assert are_the_same(target, source)
        assert not says_it_is_unfinished(target)
