"""Which answer is for which offer, by their text."""

from restartice_signaling.negotiation.matching import (
    content_of,
    names_another,
    with_attribute,
    with_offer_named,
)

OFFER = "v=0\r\no=- 7 3 IN IP4 0.0.0.0\r\ns=-\r\nm=audio 9 RTP/AVP 0\r\n"
ANSWER = "v=0\r\no=- 8 5 IN IP4 0.0.0.0\r\ns=-\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"


def test_an_answer_names_its_offer() -> None:
    answer = with_offer_named(ANSWER, OFFER)
    assert names_another(answer, OFFER) is False
    assert names_another(answer, OFFER.replace("7 3", "7 4")) is True
    assert names_another(answer, OFFER.replace("7 3", "7 30")) is True


def test_other_answers_name_none() -> None:
    assert names_another(ANSWER, OFFER) is None
    assert names_another(with_offer_named(ANSWER, "v=0\r\n"), OFFER) is None
    assert names_another(with_offer_named(ANSWER, OFFER), "v=0\r\n") is None


def test_what_is_named_of_another_connection_does_not_count() -> None:
    assert names_another(with_offer_named(ANSWER, OFFER), OFFER.replace("7 3", "6 4")) is None


def test_an_attribute_is_one_of_the_session() -> None:
    expected = ANSWER.replace("s=-\r\n", "s=-\r\na=x:1\r\n")
    assert with_attribute(ANSWER, "x:1") == expected
    assert with_attribute("v=0\r\n", "x:1") == "v=0\r\na=x:1\r\n"


def test_what_differs_between_two_answers_to_one_offer() -> None:
    first = "o=- 1 1 IN IP4 0.0.0.0\r\nm=audio 9 RTP/AVP 0\r\na=ice-ufrag:abcd\r\n"
    again = (
        "o=- 1 2 IN IP4 0.0.0.0\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n"
        "a=ice-ufrag:abcd\r\na=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n"
        "a=end-of-candidates\r\n"
    )
    assert content_of(first) == content_of(again)
    assert content_of(first) != content_of(again.replace("abcd", "efgh"))
