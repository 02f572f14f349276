"""The listings in the documentation, as files that can be checked and run."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")))

_CONTINUED: Final = ", continued"
_NAMED: Final = re.compile(r"# (\S+\.(?:py|ini|toml))(, continued)?\n")
_SKELETON: Final = re.compile(r"synthorg-db new-extension (\w+)")


@dataclass(frozen=True)
class Listing:
    """A listing of a page: lines for a shell, or a file that may be named in the first line.

    Attributes:
        page: The page.
        language: What it is written in.
        text: The listing.
    """

    page: Path
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What is typed, where it is lines for a shell."""
        return [line.removeprefix("$ ") for line in self.text.splitlines()]

    @property
    def name(self) -> str:
        """The file: the one that is named, or that of all the page's listings without a name."""
        found = _NAMED.match(self.text)
        return found[1] if found else f"{self.page.stem.replace('-', '_').lower()}.py"

    @property
    def continues(self) -> bool:
        """Whether it goes on where the last one of the same file ended."""
        found = _NAMED.match(self.text)
        return found is None or found[2] is not None

    def write(self, folder: Path) -> Path:
        """Write the file, or add to it.

        Args:
            folder: Where to.
        """
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = f"{path.read_text()}\n\n" if self.continues and path.exists() else ""
        path.write_text(before + self.text)
        return path


def listings(page: Path, *languages: str) -> Iterator[Listing]:
    """Find the listings of a page.

    Args:
        page: The page.
        languages: Of which languages; all of them where none is given.
    """
    for language, text in re.findall(
        r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    ):
        if not languages or language in languages:
            yield Listing(page, language, text)


def make_skeletons(page: Path, folder: Path) -> None:
    """Make the packages that whoever reads a page has made by its commands.

    Args:
        page: The page.
        folder: Where to.
    """
    for name in dict.fromkeys(_SKELETON.findall(page.read_text())):
        command = [sys.executable, "-m", "synthorg.persistence.cli", "new-extension", name]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
