"""Which addresses are used."""

from restartice.ice.gathering.interfaces import allowed_addresses, interface_names

LOOPBACK = "127.0.0.1"
# Addresses for documentation, which are on no interface. (RFC 5737)
ELSEWHERE = "192.0.2.1"


def test_all_without_a_filter() -> None:
    assert allowed_addresses([LOOPBACK, ELSEWHERE], None) == [LOOPBACK, ELSEWHERE]


def test_by_name() -> None:
    name = interface_names()[LOOPBACK]
    assert allowed_addresses([LOOPBACK, ELSEWHERE], {name}) == [LOOPBACK]
    assert allowed_addresses([LOOPBACK, ELSEWHERE], ["another"]) == []


def test_by_a_function_of_name_and_address() -> None:
    asked: list[tuple[str, str]] = []

    def decide(name: str, address: str) -> bool:
        asked.append((name, address))
        return address == ELSEWHERE

    assert allowed_addresses([LOOPBACK, ELSEWHERE], decide) == [ELSEWHERE]
    assert asked == [(interface_names()[LOOPBACK], LOOPBACK), ("", ELSEWHERE)]
