"""The page on the command line: each command's help, and pictures of what some of them print.

MkDocs calls these functions while it builds, after those of `pages.py`.
"""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from rich.console import Console
from rich.text import Text
from typer.main import get_group
from typer.testing import CliRunner

from synthorg.persistence.cli.app import app

CHECKOUT: Final = Path(__file__).resolve().parents[1]
FILL: Final = CHECKOUT / "examples" / "service" / "src" / "service" / "fill.py"
PLACE: Final = "reference/command-line.md"
WIDTH: Final = 84

URL: Final = "sqlite:///organisation.db"
SHOWN: Final = {
    "status": "status",
    "doctor": "doctor",
    "prune": "prune --keep messages=30m --keep cost_records=10d --dry-run",
    "copy": f"copy {URL} sqlite:///copy.db",
}
"""What is typed, in this order, on a database with a month of sample records."""

ON_PAGES: Final = {
    "operators/upgrading.md": "status",
    "operators/doctor.md": "doctor",
    "operators/retention.md": "prune",
    "operators/moving.md": "copy",
}
"""The pages that show a picture, below their first lines for a shell."""

HEAD: Final = """# The command line

`pip install 'synthorg-persistence[cli]'` brings `synthorg-db`. The pictures show it on a database
with a month of sample records."""

# Rich would have the reader fetch its fonts from elsewhere.
_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_FIRST_LINES: Final = re.compile(r"^```console\n.*?^```\n", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Run the commands, and add the page and its pictures."""
    for name, printed in _run().items():
        picture = _drawn(f"synthorg-db {SHOWN[name]}", printed)
        files.append(File.generated(config, f"reference/{name}.svg", content=picture))
    files.append(File.generated(config, PLACE, content=_page()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Show pictures on the pages about the commands."""
    name = ON_PAGES.get(page.file.src_uri)
    if name is None:
        return markdown
    picture = f"\n![What {name} prints](../reference/{name}.svg)\n"
    return _FIRST_LINES.sub(lambda found: found[0] + picture, markdown, count=1)


def _run() -> dict[str, str]:
    with TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "SYNTHORG_DATABASE_URL": URL,
            "FORCE_COLOR": "1",
            "COLUMNS": str(WIDTH),
        }

        def run(*arguments: str, codes: tuple[int, ...] = (0,)) -> str:
            command = [sys.executable, *arguments]
            done = subprocess.run(  # noqa: S603 (what is typed above)
                command, cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode not in codes or folder in done.stdout:
                raise RuntimeError(f"cannot show {arguments}: {done.stdout}{done.stderr}")
            return done.stdout

        run(str(FILL))
        printed = {}
        for name, typed in SHOWN.items():
            codes = (0,)
            if name == "doctor":
                codes = (1,)  # it has something to say
                _damage(Path(folder) / "organisation.db")
            command = ("-m", "synthorg.persistence.cli", *typed.split())
            printed[name] = run(*command, codes=codes)
            if name == "doctor":
                _mend(Path(folder) / "organisation.db")
        return printed


def _damage(database: Path) -> None:
    _write(database, "UPDATE tasks SET priority = 'whenever' WHERE id = 'website-2'")


def _mend(database: Path) -> None:
    _write(database, "UPDATE tasks SET priority = 'medium' WHERE id = 'website-2'")


def _write(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def _drawn(command: str, printed: str) -> str:
    console = Console(record=True, width=WIDTH, file=StringIO())
    console.print(Text.assemble(("$ ", "green"), command))
    console.print(Text.from_ansi(printed))
    name = command.split()[1]
    return _FONTS.sub("", console.export_svg(title="synthorg-db", unique_id=name))


def _page() -> str:
    parts = [HEAD, _help()]
    for name in get_group(app).commands:
        parts.append(f"## {name}")
        if name in SHOWN:
            parts.append(f"![What {name} prints]({name}.svg)")
        parts.append(_help(name))
    return "\n\n".join(parts)


def _help(*command: str) -> str:
    environment = {"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH)}
    told = CliRunner().invoke(app, [*command, "--help"], prog_name="synthorg-db", env=environment)
    lines = [line.rstrip() for line in told.output.strip("\n").splitlines()]
    return "\n".join(["```text", *lines, "```"])
