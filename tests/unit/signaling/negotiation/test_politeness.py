"""Who gives way, by the text of offers."""

from restartice_signaling.negotiation.politeness import gives_way, ufrags_in

LOW, HIGH = "0A:00", "f0:00"


def offer(*fingerprints: str) -> str:
    return "".join(f"a=fingerprint:sha-256 {value}\r\n" for value in fingerprints)


def test_exactly_one_side_gives_way() -> None:
    assert gives_way([HIGH], offer(LOW))
    assert not gives_way([LOW], offer(HIGH))


def test_letters_of_fingerprints_have_no_case() -> None:
    assert not gives_way(["f0:00"], offer("F0:00"))
    assert gives_way(["f1:00"], offer("F0:00"))
    assert not gives_way(["A0:00"], offer("b0:00"))


def test_several_certificates_are_judged_by_the_highest() -> None:
    assert gives_way([LOW, HIGH], offer("11:00", "22:00"))
    assert not gives_way(["11:00", "22:00"], offer(HIGH, LOW))


def test_other_algorithms_do_not_count() -> None:
    text = offer(LOW) + "a=fingerprint:sha-512 FF:FF\r\n"
    assert gives_way([HIGH], text)


def test_an_offer_without_a_fingerprint_is_given_way_to() -> None:
    assert gives_way([LOW], "v=0\r\n")


def test_username_fragments() -> None:
    assert ufrags_in("a=ice-ufrag:abcd\r\na=ice-pwd:x\r\na=ice-ufrag:efgh\r\n") == {"abcd", "efgh"}
