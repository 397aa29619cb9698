"""The origin line of descriptions. (I4)."""

from restartice import RTCPeerConnection, RTCSessionDescription
from restartice.sdp import description as sdp
from restartice.sdp.origin import Origin, alike


async def test_origin_of_an_unchanged_offer_stays_the_same() -> None:
    pc = RTCPeerConnection()
    pc.createDataChannel("data")
    try:
        first, second = [await pc.createOffer() for _ in range(2)]
        await pc.setLocalDescription(second)
        third = await pc.createOffer()
        pc.addTransceiver("audio")
        fourth = await pc.createOffer()
    finally:
        await pc.close()
    origins = [description.sdp.splitlines()[1] for description in (first, second, third, fourth)]
    versions = [int(origin.split()[2]) for origin in origins]
    assert versions == [1, 1, 1, 2]


async def test_origin_keeps_its_id_and_counts_changes(offer: RTCSessionDescription) -> None:
    origin = Origin()
    numbers = []
    for change in ("", "", "a=sendonly", "a=sendonly", "a=sendrecv"):
        text = offer.sdp.replace("a=sendrecv", change) if change else offer.sdp
        description = sdp.parse(RTCSessionDescription(text, "offer"))
        stamped = origin.stamp(description)
        assert stamped == str(description)
        origin.applied(description, stamped)
        numbers.append(str(description.origin).split()[1:3])
    assert len({session_id for session_id, _ in numbers}) == 1
    assert [int(version) for _, version in numbers] == [1, 1, 2, 2, 3]


async def test_origin_counts_what_was_edited_before_it_was_applied(
    offer: RTCSessionDescription,
) -> None:
    origin = Origin()
    created = sdp.parse(offer)
    stamped = origin.stamp(created)
    edited = stamped.replace("a=sendrecv", "a=sendonly")
    origin.applied(sdp.parse(RTCSessionDescription(edited, "offer")), edited)
    origin.stamp(created)
    assert str(created.origin).split()[2] == "2"


async def test_descriptions_of_the_same_thing_are_alike(offer: RTCSessionDescription) -> None:
    later = offer.sdp.replace(" 1 IN IP4", " 2 IN IP4", 1)
    gathered = later + "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n"
    assert alike(offer.sdp, gathered)
    assert alike(offer.sdp, gathered.replace("a=ice-ufrag:", "a=ice-ufrag:other"))
    assert not alike(offer.sdp, later.replace("a=sendrecv", "a=sendonly"))
