"""Sphinx's extension of the documentation: it makes pages from the code, and draws."""

import posixpath
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, get_args

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole

import layout_page
import settings_page
import specification_page
from drawing import draw
from restartice_signaling import Event

ROOT: Final = specification_page.ROOT
EVENTS: Final = re.compile(r"^<!-- events -->$", re.MULTILINE)
FENCED: Final = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^#+ ", re.MULTILINE)
INCLUDE: Final = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")
NAME: Final = re.compile(r"[A-Za-z_][\w.]*(\(\))?")
OBJECT: Final = re.compile(r"^::: (([\w.]+)\.(\w+))$", re.MULTILINE)
PICTURE: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LISTED: Final = re.compile(r"(- |    |  \S)")
SECTION: Final = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
# Where the pages are, and files elsewhere that are pages of the documentation.
PAGES: Final = "examples/docs/pages"
SHOWN: Final = {
    "CHANGELOG.md": "changes.md",
    "README.md": "index.md",
    "signaling/README.md": "signaling.md",
}


def read_source(_app: Sphinx, name: str, source: list[str]) -> None:
    """Put in what a page includes: files, documentation of objects, and drawings."""
    text = source[0]
    if match := INCLUDE.fullmatch(text.strip()):
        text = included(match[1], name)
    text = INCLUDE.sub(lambda match: demoted(included(match[1], name)), text)
    text = EVENTS.sub(
        "\n\n".join(f"::: restartice_signaling.{cls.__name__}" for cls in get_args(Event)), text
    )
    text = OBJECT.sub(lambda match: documented(match[1], match[2], match[3]), text)
    source[0] = PICTURE.sub(lambda match: f"<div>{draw(match[1])}</div>", text)


def demoted(markdown: str) -> str:
    """Return text whose headings are one level lower, to stand on a page with a title."""
    parts = FENCED.split(markdown)
    return "".join(
        part if number % 2 else HEADING.sub(r"#\g<0>", part) for number, part in enumerate(parts)
    )


def included(file: str, page: str) -> str:
    """Return a file of the repository, or what one of our programs prints, as Markdown."""
    if file.endswith(".py"):
        return make_page(file)
    text = (ROOT / file).read_text("utf-8")
    folder = posixpath.dirname(file)
    return LINK.sub(lambda match: _relink(match, folder, f"{page}.md"), text)


def make_page(program: str) -> str:
    """Return a page that is made from the code."""
    if program == "settings_page.py":
        return settings_page.make_page()
    if program == "layout_page.py":
        return layout_page.make_page(links=True)
    return specification_page.make_page(links=True)


def _relink(match: re.Match[str], folder: str, page: str) -> str:
    """Let a link lead to where the documentation shows the file, or nowhere."""
    file, _, anchor = match[2].partition("#")
    path = posixpath.normpath(posixpath.join(folder, file))
    if path.endswith(".py") and path.startswith(("src/", "signaling/")):
        return f"[{match[1]}](code:{path})"
    known = SHOWN.get(path) or path.removeprefix(f"{PAGES}/")
    if known == page or not (ROOT / PAGES / known).exists():
        return match[1]
    return f"[{match[1]}]({known}{anchor and '#'}{anchor})"


def documented(path: str, module: str, name: str) -> str:
    """Return the directive that shows the documentation of an object."""
    thing = getattr(import_module(module), name)
    if not isinstance(thing, type):
        return f"```{{eval-rst}}\n.. autofunction:: {path}\n```"
    return f"```{{eval-rst}}\n.. autoclass:: {path}\n   :members:\n```"


def mark_code(*arguments: Any) -> None:
    """Mark blocks of code in the text of a docstring, which are only indented there."""
    lines: list[str] = arguments[-1]
    marked: list[str] = []
    for number, line in enumerate(lines):
        if SECTION.fullmatch(line):
            marked += lines[number:]
            break
        is_code = line.startswith("    ")
        if is_code and number and not lines[number - 1] and not LISTED.match(_last_of(marked)):
            marked += ["::", ""]
        marked.append(line)
    lines[:] = marked


def _last_of(lines: list[str]) -> str:
    """Return the last line that has text, unless it is of the same block of code."""
    return next((line for line in reversed(lines) if line), "")


def name_role(
    _role: str, raw: str, text: str, line: int, inliner: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Show what stands in backquotes in a docstring as code, and link the names of objects."""
    if NAME.fullmatch(text):
        shown: list[nodes.Node]
        shown, messages = PyXRefRole()("py:obj", raw, text, line, inliner)
        return shown, messages
    return [nodes.literal(raw, text)], []


def code_pages(_app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the pages that show code, whose lines have anchors."""
    shown = {path for folder in specification_page.SOURCES for path in folder.rglob("*.py")}
    tests = (names for _, names in specification_page.read_tests().values())
    shown |= {ROOT / "tests" / name for names in tests for name in names}
    formatter = HtmlFormatter(linenos="inline", lineanchors="line", wrapcode=True)
    for path in sorted(shown):
        name = path.relative_to(ROOT).as_posix()
        code = highlight(path.read_text("utf-8"), PythonLexer(), formatter)
        yield f"code/{name}", {"title": name, "body": f"<h1>{name}</h1>\n{code}"}, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Have Sphinx call this extension."""
    app.connect("source-read", read_source)
    app.connect("html-collect-pages", code_pages)
    # Before napoleon, which reads the sections.
    app.connect("autodoc-process-docstring", mark_code, priority=400)
    app.add_role("name", name_role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
