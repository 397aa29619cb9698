"""The documentation is built without a warning, is complete, and loads nothing from elsewhere."""

import re
from pathlib import Path

import pytest

import layout_page
import restartice
import restartice_signaling
import settings_page
from drawing import draw, read

LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)\"|<link\b([^>]+)>")
HREF = re.compile(r'href="([^"]+)"')


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        for source, link in LOADED.findall(page.read_text()):
            for target in [source] if source else HREF.findall(link):
                assert not re.match(r"(https?:)?//", target), f"{page.name} loads {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import", sheet.read_text()), sheet.name


def test_links_within_lead_to_a_place(site: Path) -> None:
    """What Sphinx doesn't look at: the lines of the code."""
    checked = 0
    for page in (site / "specification.html", site / "settings.html", site / "restart.html"):
        for target in HREF.findall(page.read_text()):
            name, _, anchor = target.partition("#")
            if not anchor or name.startswith("http"):
                continue
            text = ((page.parent / name) if name else page).read_text()
            assert f'id="{anchor}"' in text, f"{page.name}: {target}"
            checked += 1
    assert checked > 100


def test_reference_has_every_public_name_of_ours(site: Path) -> None:
    for module, page in ((restartice, "api.html"), (restartice_signaling, "api-signaling.html")):
        text = (site / page).read_text()
        for name in module.__all__:
            if getattr(module, name).__module__.startswith(module.__name__):
                assert f'id="{module.__name__}.{name}"' in text, name


def test_drawings_are_drawn(site: Path) -> None:
    for page in ("restart.html", "signaling.html"):
        assert '<svg class="drawing"' in (site / page).read_text()
        assert "sequenceDiagram" not in (site / page).read_text()


def test_drawing_has_every_text_once() -> None:
    source = "sequenceDiagram\nparticipant A as One\nparticipant B\nA->>B: <hi>\nNote over A,B: x\n"
    picture = draw(f"{source}B-->>A: back\nB->>B: self")
    for text in ("One", "&lt;hi&gt;", ">x<", "back", "self"):
        assert picture.count(text) == 1 + (text == "One"), text


@pytest.mark.parametrize("source", ["graph TD", "sequenceDiagram\nA=>B: what"])
def test_what_can_t_be_drawn_is_told(source: str) -> None:
    with pytest.raises(ValueError, match=r"drawn|draw"):
        read(source)


def test_settings_are_complete() -> None:
    page = settings_page.make_page()
    for cls, _ in settings_page.CLASSES:
        for field in cls.__dataclass_fields__:
            row = rf"^\| `{field}` \| [^|]+ \| [^|]* \|( [^|]* \|)? [^|]+ \|$"
            assert re.search(row, page, re.MULTILINE)
    assert "| `check_timeout` | `15.0` | s | How long the connectivity checks" in page
    assert "| `max_peers` | `8` | peers | `--max-peers` | The most peers in a room. |" in page


def test_the_layout_names_each_module_and_draws_each_room() -> None:
    page = layout_page.make_page(links=True)
    for package in layout_page.PACKAGES:
        modules = layout_page.read_modules(package)
        picture = layout_page.draw(layout_page.rooms_of(modules), package.name)
        for module in modules:
            assert module.sentence, module.name
            assert f"code:{module.path.relative_to(layout_page.ROOT).as_posix()}" in page or (
                f"### `{module.name}`" in page
            ), module.name
            assert picture.count(f">{module.room}<") == 1


def test_the_layout_leads_from_the_specification_to_modules() -> None:
    found = set(re.findall(r"`((?!tests/)\w+/\w+)`", layout_page.TEMPLATE.read_text()))
    known = {m.name.replace(".", "/") for m in layout_page.read_modules(layout_page.PACKAGES[0])}
    assert len(found) > 12
    assert found <= known


def test_rooms_that_import_each_other_have_no_floors() -> None:
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        layout_page.floors({"a": {"b"}, "b": {"a"}, "c": set()})


def test_arrows_with_a_longer_way_are_left_out() -> None:
    assert layout_page.direct({"a": {"b", "c"}, "b": {"c"}, "c": set()})["a"] == {"b"}
