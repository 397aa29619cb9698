"""Headers with links, as servers write them."""

import time
from contextlib import suppress

import pytest

from restartice_signaling.over_http.links import Link, read_links


def test_links_of_ice_servers() -> None:
    parameters = 'credential="a;b,<c>; d=\\"e\\\\"; credential-type="password"'
    turn = f'<turn:t?transport=udp>; rel="ice-server"; username="u"; {parameters}'
    headers = [f'<stun:s>; rel="ice-server", {turn}', "<x>;REL=next ; title, <y>"]
    assert list(read_links(headers)) == [
        Link("stun:s", {"rel": "ice-server"}),
        Link(
            "turn:t?transport=udp",
            {
                "rel": "ice-server",
                "username": "u",
                "credential": 'a;b,<c>; d="e\\',
                "credential-type": "password",
            },
        ),
        Link("x", {"rel": "next", "title": ""}),
        Link("y", {}),
    ]


def test_relations() -> None:
    link = Link("x", {"rel": "next Ice-Server"})
    assert link.has_rel("ice-server")
    assert not link.has_rel("ice")
    assert not Link("x", {}).has_rel("ice-server")


@pytest.mark.parametrize("header", ["x", "<x", "<x>; =y", '<x>; a="b', "<x> y", "<x>; a=b c", ";"])
def test_malformed_links(header: str) -> None:
    found = []
    with pytest.raises(ValueError, match="at character"):
        found += list(read_links(["<first>", header]))
    links = read_links(["<first>", header])
    assert next(links) == Link("first", {})


@pytest.mark.parametrize("part", [" ", ",", ";", "<", "\\", '"', " ;a", '; a="', "<x>", "; a=b"])
def test_long_headers_take_little_time(part: str) -> None:
    began = time.process_time()
    for text in (part * 20_000, f"<x>{part * 20_000}", f'<x>; a="{part * 20_000}'):
        with suppress(ValueError):
            list(read_links([text]))
    assert time.process_time() - began < 2


def test_no_links() -> None:
    assert list(read_links([])) == []
    assert list(read_links(["", " , "])) == []
