"""The corpus of descriptions is ours, and the table names each of them."""

import re

from descriptions import answers, offers
from interop.taking import TABLE, kinds

ENTRIES = [*offers(), *answers()]
EXAMPLES = ("192.0.2.", "198.51.100.", "203.0.113.", "127.0.0.1", "0.0.0.0")  # noqa: S104
ADDRESS = re.compile(r"(?<![\d.])\d+\.\d+\.\d+\.\d+(?![\d.])")


def test_there_are_many() -> None:
    assert len(offers()) >= 40
    assert len(answers()) >= 20
    assert len({(entry.kind, entry.name) for entry in ENTRIES}) == len(ENTRIES)


def test_nobody_is_named() -> None:
    for entry in ENTRIES:
        assert entry.special
        assert entry.source
        assert all(found.startswith(EXAMPLES) for found in ADDRESS.findall(entry.text)), entry.name
        assert not re.search(r"a=fingerprint:\S+ (?!\$)", entry.text), entry.name


def test_answers_tell_what_was_offered() -> None:
    for entry in answers():
        offered = [text.partition(" ")[0] for text in entry.offered]
        assert kinds(entry) == offered[: len(kinds(entry))], entry.name


def test_the_table_has_a_row_for_each() -> None:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    names = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    names = [name for name in names if name not in {"", "---"}]
    assert names == [entry.name for entry in ENTRIES]
