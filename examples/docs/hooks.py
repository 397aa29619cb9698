"""What mkdocs does beside turning pages into HTML: it makes some from the code, and draws."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import layout_page
import settings_page
import specification_page
from drawing import draw
from restartice_signaling import Event

EVENTS: Final = re.compile(r"^<!-- events -->$", re.MULTILINE)
INCLUDE: Final = re.compile(r'^--8<-- "([^":]+)(?::(\w+))?"$', re.MULTILINE)
FENCED: Final = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^#+ ", re.MULTILINE)
LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")
# What the pages show of the example in the browser.
PICTURES: Final = ("desktop.png", "icon.svg")
# Files that are pages of the documentation.
SHOWN: Final = {
    "CHANGELOG.md": "changes.md",
    "README.md": "index.md",
    "signaling/README.md": "signaling.md",
}
CODE_PAGE: Final = """\
---
search:
  exclude: true
hide: [navigation]
---
# {path}

``` {{ .python linenums="1" }}
{text}
```
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have blocks of Mermaid drawn."""
    fence = {"name": "mermaid", "class": "drawing", "format": drawing_fence}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put in the files, or parts of them, that a page includes."""
    here = page.file.src_uri
    markdown = EVENTS.sub(lambda _: documented(get_args(Event)), markdown)
    if INCLUDE.fullmatch(markdown.strip()):
        return INCLUDE.sub(lambda match: included(match[1], match[2], here), markdown)
    return INCLUDE.sub(lambda match: demoted(included(match[1], match[2], here)), markdown)


def documented(classes: Iterable[type]) -> str:
    """Return directives that show the documentation of public classes of the signaling."""
    return "\n\n".join(f"::: restartice_signaling.{cls.__name__}" for cls in classes)


def demoted(markdown: str) -> str:
    """Return text whose headings are one level lower, to stand on a page with a title."""
    parts = FENCED.split(markdown)
    return "".join(
        part if number % 2 else HEADING.sub(r"#\g<0>", part) for number, part in enumerate(parts)
    )


def included(file: str, part: str | None, page: str) -> str:
    """Return a file of the repository, or its part between two comments, to be shown on a page.

    Raises:
        ValueError: It has no such part.
    """
    text = (specification_page.ROOT / file).read_text("utf-8")
    if part is not None:
        start, end = f"<!-- begin {part} -->\n", f"<!-- end {part} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"{file} has no part {part}")
        text = text.partition(start)[2].partition(end)[0]
    folder = posixpath.dirname(file)
    return LINK.sub(lambda match: _relink(match, folder, page), text)


def _relink(match: re.Match[str], folder: str, page: str) -> str:
    """Let a link lead to where the documentation shows the file, or nowhere."""
    path = posixpath.normpath(posixpath.join(folder, match[2].partition("#")[0]))
    if path.endswith(".py") and path.startswith(("src/", "signaling/")):
        return f"[{match[1]}](code/{path}.md)"
    name = SHOWN.get(path)
    return match[1] if name in {None, page} else f"[{match[1]}]({name})"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    for name, content in generated_pages():
        files.append(File.generated(config, name, content=content))
    for name in PICTURES:
        path = specification_page.ROOT / "examples" / "browser" / name
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def generated_pages() -> Iterator[tuple[str, str]]:
    """Yield the names and the content of the pages that no file in the repository has."""
    yield "specification.md", specification_page.make_page(links=True)
    yield "settings.md", settings_page.make_page()
    yield "layout.md", layout_page.make_page(links=True)
    root = specification_page.ROOT
    shown = {path for folder in specification_page.SOURCES for path in folder.rglob("*.py")}
    tests = (names for _, names in specification_page.read_tests().values())
    shown |= {root / "tests" / name for names in tests for name in names}
    for path in sorted(shown):
        name = path.relative_to(root).as_posix()
        yield f"code/{name}.md", CODE_PAGE.format(path=name, text=path.read_text("utf-8"))


def drawing_fence(
    source: str, _language: str, _class: str, _options: dict[str, Any], _md: Any, **_: Any
) -> str:
    """Draw a block of Mermaid, in place of which a page shows SVG."""
    return f"<div>{draw(source)}</div>"
