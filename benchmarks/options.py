"""Options of the command line that several benchmarks have."""

import argparse
from collections.abc import Collection


def add_choice(parser: argparse.ArgumentParser, option: str, known: Collection[str]) -> None:
    """Add an option that takes names, with commas between them.

    Args:
        parser: Where to add it.
        option: Its name.
        known: The names that it takes.
    """

    def read(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)} is not among {', '.join(known)}"
            )
        return chosen

    parser.add_argument(option, type=read, metavar="NAME,NAME", help=f"of {', '.join(known)}")
