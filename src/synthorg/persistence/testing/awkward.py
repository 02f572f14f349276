"""Keys and times that a database may confuse, and values that none can hold."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import inf, nan
from typing import Final

from synthorg.entities.base import LARGEST_INTEGER, LONGEST_KEY

LOOKALIKES: Final = (
    "key",
    "KEY",
    "Key",
    " key",
    "key ",
    "key  ",
    "key\t",
    "key\n",
    "k",
    "ke",
    "keys",
    "k\u00e9y",  # composed
    "ke\u0301y",  # decomposed
    "k\u00eay",
    "stra\u00dfe",
    "strasse",
    "STRASSE",
    "\u0130",
    "i\u0307",
    "\u0131",
    "I",
    "\u212a",  # the sign for kelvin
    "K",
    "\u65e5\u672c\u8a9e",
    "\ufb01",  # one letter that is compatible with two
    "fi",
)
"""Keys that many collations take for each other."""

KEYS: Final = (
    *LOOKALIKES,
    "\uffff",
    "\U0001f98a",
    "\U0001f98a\ufe0f",
    "\U0010ffff",
    "\u200b",
    "a\u200bb",
    "it's",
    'a "quoted" word',
    "back\\slash",
    "back\\\\slash",
    "100%",
    "1_0",
    "110",
    "0110",
    "1.0",
    "1",
    "null",
    "NULL",
    "'; DROP TABLE tasks; --",
    ":key",
    "%(key)s",
    "?",
    "$1",
    "\x01",
    "\x7f",
    "x" * LONGEST_KEY,
    "x" * (LONGEST_KEY - 1) + "y",
    "\U0001f98a" * LONGEST_KEY,
    "\U0001f98a" * (LONGEST_KEY - 1) + "\U0001f98b",
)
"""Keys that are all different, though some databases and file systems think otherwise."""


class _NightOfTheClockChange(tzinfo):
    """A zone in the night when its clocks are set back, so that an hour comes twice."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1 if moment is not None and moment.fold else 2)

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        return "local"


_NIGHT: Final = _NightOfTheClockChange()
_WEST: Final = timezone(timedelta(hours=-12))
_EAST: Final = timezone(timedelta(hours=14))

FIRST_TIME_ROUND: Final = datetime(2024, 10, 27, 2, 50, tzinfo=_NIGHT, fold=0)
SECOND_TIME_ROUND: Final = datetime(2024, 10, 27, 2, 10, tzinfo=_NIGHT, fold=1)
"""Twenty minutes later, though the clock shows an earlier time."""

TIMES: Final = (
    datetime(1800, 1, 1, tzinfo=UTC),
    FIRST_TIME_ROUND,
    SECOND_TIME_ROUND,
    SECOND_TIME_ROUND.astimezone(_WEST),
    datetime(2024, 10, 27, 12, tzinfo=_EAST),  # the day before, in UTC
    datetime(2024, 10, 26, 10, tzinfo=_WEST),  # the same moment
    datetime(2024, 10, 26, 22, 0, 0, 1, tzinfo=UTC),  # a microsecond later
    datetime(2024, 10, 26, 22, 0, 1, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
)
"""Times whose texts sort otherwise than they do, some of them equal."""

UNSTORABLE_TEXTS: Final = ("a\x00b", "\x00", "\ud800", "a\udfffb")
"""Texts that some database cannot hold: with NUL or a lone surrogate."""

UNSTORABLE_INTEGERS: Final = (LARGEST_INTEGER + 1, -LARGEST_INTEGER - 2, 10**30)
UNSTORABLE_NUMBERS: Final = (nan, inf, -inf)
NAIVE_TIME: Final = datetime(2024, 3, 1)  # noqa: DTZ001 (it has no zone on purpose)
