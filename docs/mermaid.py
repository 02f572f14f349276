"""Mermaid, which draws the diagrams, as a part of the site instead of from elsewhere.

`make docs` fetches it where there is npm; without it, the pages with diagrams load it from the
network. MkDocs calls these functions while it builds.
"""

from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

CHECKOUT: Final = Path(__file__).resolve().parents[1]
SCRIPT: Final = CHECKOUT / "build" / "mermaid" / "package" / "dist" / "mermaid.min.js"
PLACE: Final = "assets/javascripts/mermaid.min.js"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the script, if it is there."""
    if SCRIPT.exists():
        files.append(File.generated(config, PLACE, abs_src_path=str(SCRIPT)))
    return files


def on_post_page(output: str, *, page: Page, **_: Any) -> str:
    """Have the pages with diagrams load it, before the script of the theme looks for it."""
    if not SCRIPT.exists() or 'class="mermaid"' not in output:
        return output
    script = f'<script src="{get_relative_url(PLACE, page.url)}"></script>'
    return output.replace("</head>", f"{script}</head>", 1)
