"""What the site has beside the pages of this folder: the README, the changelog and the reference.

MkDocs calls these functions while it builds. https://www.mkdocs.org/user-guide/configuration/#hooks
"""

import re
from itertools import chain
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from paracelsus.transformers.mermaid import Mermaid
from sqlalchemy import MetaData, Table

from synthorg.persistence.sql import tables

CHECKOUT: Final = Path(__file__).resolve().parents[1]

REFERENCE: Final = {
    "Configuration": ("config", "factory", "sqlite"),
    "Backends and units of work": ("protocol", "transactions", "health", "observing", "telemetry"),
    "Repositories": ("repositories", "stores", "paging", "totals"),
    "Errors": ("errors",),
    "Entities of your own": ("extension",),
    "Content of artifacts": ("artifact_storage", "filesystem_artifact_storage"),
    "Care of a database": ("diagnosis", "retention", "rollups", "transfer"),
    "Tests of your own": ("testing.repositories", "testing.backend", "testing.strategies"),
}
"""The pages of the reference, and the modules of `synthorg.persistence` on each."""

SELF_EXPLAINING: Final = ("Entities", "Repositories")
"""The pages where names and types alone say enough, so that they are listed without more."""

ENTITIES: Final = (
    *("tasks", "costs", "messages", "hr", "parked_contexts", "audit", "auth", "execution"),
    *("artifacts", "projects", "presets", "workflows"),
)
"""The modules of `synthorg.entities`."""

TABLES: Final = """# Tables

What the library keeps, drawn from the metadata that its revisions come from as well. Between most
tables there is no foreign key on purpose: costs, events and the audit trail are evidence, which
stays when a task is deleted."""

_LINK: Final = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that are made into the navigation."""
    pages = [{title: _place(title)} for title in ("Entities", *REFERENCE, "Tables", "Command line")]
    for section in config.nav or []:
        if "Reference" in section:
            section["Reference"] = pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {
        "index.md": (CHECKOUT / "README.md").read_text(),
        "changelog.md": (CHECKOUT / "CHANGELOG.md").read_text(),
        _place("Entities"): _reference("Entities", "synthorg.entities", ENTITIES),
        _place("Tables"): _tables(),
    }
    for title, modules in REFERENCE.items():
        made[_place(title)] = _reference(title, "synthorg.persistence", modules)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: Any) -> str:
    """Have links lead to pages of the site, and leave out those to files that it does not have."""
    source = page.file.src_uri
    if source.endswith("/results.md"):
        markdown += _charts(CHECKOUT / "docs" / source)
    home = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}.get(source, f"docs/{source}")

    def lead(found: re.Match[str]) -> str:
        text, target = found.groups()
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            return found[0]
        meant = (CHECKOUT / home).parent.joinpath(path).resolve().relative_to(CHECKOUT)
        place = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}.get(
            meant.as_posix(), meant.as_posix().removeprefix("docs/")
        )
        if files.get_file_from_path(place) is None and (CHECKOUT / meant).exists():
            return text
        up = "../" * source.count("/")
        return f"[{text}]({up}{place}{anchor and f'#{anchor}'})"

    return _LINK.sub(lead, markdown).replace("](docs/", "](")


def _charts(results: Path) -> str:
    """Show the charts that lie beside results."""
    charts = sorted(results.parent.glob("*.svg"))
    shown = [f"![{chart.stem}]({chart.name})" for chart in charts]
    return "\n\n".join(["\n\n## Charts", *shown])


def _place(title: str) -> str:
    return f"reference/{title.lower().replace(' ', '-')}.md"


def _reference(title: str, package: str, modules: tuple[str, ...]) -> str:
    options = "\n    options: {show_if_no_docstring: true}" if title in SELF_EXPLAINING else ""
    return "\n\n".join([f"# {title}", *(f"::: {package}.{each}{options}" for each in modules)])


def _tables() -> str:
    """Draw the tables, as the metadata declares them; those that refer to each other together."""
    parts = [TABLES]
    for group in _groups(tables.metadata):
        metadata = MetaData()
        for table in group:
            table.to_metadata(metadata)
        names = ", ".join(table.name for table in group)
        drawing = Mermaid(metadata, column_sort="preserve-order")
        parts.append(f"## {names}\n\n```mermaid\n{drawing}\n```")
    return "\n\n".join(parts)


def _groups(metadata: MetaData) -> list[list[Table]]:
    groups: list[list[Table]] = []
    for table in metadata.sorted_tables:  # what is referred to comes first
        meant = {key.column.table for key in table.foreign_keys}
        joined = [group for group in groups if meant.intersection(group)]
        groups = [group for group in groups if group not in joined]
        groups.append([*chain.from_iterable(joined), table])
    return sorted(groups, key=lambda group: group[0].name)
