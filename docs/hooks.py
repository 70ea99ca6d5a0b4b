"""What the site has that the pages don't: files from outside docs/, and the table of all fields.

Links in a page are those of a repository browser. On the site a link to a file outside docs/ leads
to the page that is made of it (`_PAGES`), or to a copy of it.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from ml_collections import ConfigDict

import labor_jax
from labor_jax import config_comments
from labor_jax.config import base_config
from labor_jax.data import registry

_ROOT = Path(__file__).resolve().parents[1]

_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Files outside docs/ that are pages of the site."""

_LINK = re.compile(r"(?<=\]\()[^)#\s:]+(?=[)#])")
"""The file that a relative link names."""

_FIELDS = "<!-- every field -->"
"""Where the tables of fields go."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and the copies."""
    for path, page in _PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(_ROOT / path)))
    linked = {
        _path(link, page)
        for page in files.documentation_pages()
        for link in _LINK.findall(page.content_string)
    }
    for path in sorted(linked):
        if path not in _PAGES and not path.startswith("docs/") and (_ROOT / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(_ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_) -> str:
    """Turns links of a repository browser into the site's, and fills in the fields."""
    folder = posixpath.dirname(page.file.src_uri) or "."

    def on_site(link: re.Match) -> str:
        path = _path(link[0], page.file)
        if not (_ROOT / path).is_file():
            return link[0]  # broken, which is told; or what looks like a link in code
        return posixpath.relpath(_PAGES.get(path, path.removeprefix("docs/")), folder)

    markdown = _LINK.sub(on_site, markdown)
    if _FIELDS in markdown:
        markdown = markdown.replace(_FIELDS, "\n\n".join(_every_field()))
    return markdown


def _path(link: str, page: File) -> str:
    """The file that a page's link names, from the repository's root."""
    sources = {name: path for path, name in _PAGES.items()}
    source = sources.get(page.src_uri, f"docs/{page.src_uri}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _every_field() -> Iterator[str]:
    """The fields of a config, with their defaults and meanings, as `--help` has them."""
    base = base_config()
    yield from _sections(base, "config", config_comments.read(base))
    for pair in registry.PAIRS:
        config = labor_jax.get_config("spl", pair)
        own = ConfigDict({name: config.data[name] for name in config.data if name not in base.data})
        if own:
            yield f"### Fields of the pair {pair}"
            yield from _sections(own, "config.data", config_comments.read(config), heading=False)


def _sections(
    section: ConfigDict, path: str, meanings: dict[str, str], heading: bool = True
) -> Iterator[str]:
    """The headings and tables of a section and of those in it."""

    def meaning(name: str) -> str:
        return meanings.get(f"{path}.{name}".removeprefix("config."), "")

    if heading:
        yield f"### {path}"
        yield _text(meanings.get(path.removeprefix("config."), ""))
    order = {name: number for number, name in enumerate(meanings)}
    below = f"{path}.".removeprefix("config.")
    names = sorted(section, key=lambda name: (order.get(below + name, len(order)), name))
    inner = [name for name in names if isinstance(section[name], ConfigDict)]
    own = [name for name in names if name not in inner]
    if path.endswith(".terms"):
        weights = ", ".join(f"`{name}` {section[name]}" for name in own if section[name])
        yield f"Weights of the [terms](#configterms); not 0: {weights or 'none'}."
    elif own:
        told = ["", *map(meaning, own)]
        cells = ["likewise" if text and text == above else text for above, text in pairwise(told)]
        rows = zip(own, cells, strict=True)
        yield "\n".join(
            (
                "| field | default | meaning |",
                "|---|---|---|",
                *(f"| `{name}` | `{section[name]!r}` | {_text(text)} |" for name, text in rows),
            )
        )
    if path == "config.terms":
        rows = [f"| `{name}` | {_text(meaning(name))} |" for name in inner]
        yield "\n".join(("| term | loss |", "|---|---|", *rows))
        inner = [name for name in inner if section[name]]  # not those without settings
    for name in inner:
        yield from _sections(section[name], f"{path}.{name}", meanings)


def _text(text: str) -> str:
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return re.sub(r"docs/(\S+\.md)", r"[\1](\1)", text)
