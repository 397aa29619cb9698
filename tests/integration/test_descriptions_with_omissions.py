"""Descriptions that leave out what goes without saying, or have lines that can't be read. (I9)."""

import pickle
import re
from collections.abc import Callable

import pytest

from conftest import Factory
from connecting import negotiate, wait_connected, wait_until
from restartice import (
    AudioStreamTrack,
    CandidateSyntaxError,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
    SdpSyntaxError,
    VideoStreamTrack,
)
from restartice.exceptions import InvalidContentError

Edit = Callable[[str], str]


async def negotiate_edited(
    near: RTCPeerConnection, far: RTCPeerConnection, offer: Edit, answer: Edit
) -> None:
    await near.setLocalDescription()
    text = offer(near.localDescription.sdp)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    text = answer(far.localDescription.sdp)
    await near.setRemoteDescription(RTCSessionDescription(text, "answer"))


async def assert_connected(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    await wait_connected(near, far)
    channel = near.createDataChannel("more")
    await wait_until(channel, "open", lambda: channel.readyState == "open")
    channel.send("as long as the other side accepts")
    for pc in (near, far):
        assert pc.signalingState == "stable"


def without(*names: str) -> Edit:
    """Return what takes attributes out."""
    pattern = re.compile(rf"(?m)^a=({'|'.join(names)})(:.*)?\r\n")

    def edit(text: str) -> str:
        edited = pattern.sub("", text)
        assert edited != text
        return edited

    return edit


def sections(text: str) -> list[str]:
    return re.split(r"(?m)^(?=m=)", text)


def in_first_only(*names: str) -> Edit:
    """Return what takes attributes out of all sections but the first."""

    def edit(text: str) -> str:
        head, first, *others = sections(text)
        return "".join([head, first, *map(without(*names), others)])

    return edit


def at_session_level(*names: str) -> Edit:
    """Return what moves the attributes of the first section to the session level."""
    pattern = re.compile(rf"(?m)^a=(?:{'|'.join(names)})(?::.*)?\r\n")

    def edit(text: str) -> str:
        head, *others = sections(text)
        moved = "".join(pattern.findall(others[0]))
        assert moved
        return "".join([head, moved, *(pattern.sub("", part) for part in others)])

    return edit


def bundle_only(text: str) -> str:
    """Make all sections but the first rely on the group. (RFC 9143 section 7.1.3)."""
    head, first, *others = sections(
        in_first_only(*TRANSPORT, "candidate", "end-of-candidates")(text)
    )
    alone = [re.sub(r"(?m)^(m=\w+) \d+", r"\1 0", part) + "a=bundle-only\r\n" for part in others]
    return "".join([head, first, *alone])


def as_it_is(text: str) -> str:
    return text


ICE = ("ice-ufrag", "ice-pwd")
DTLS = ("fingerprint", "setup")
TRANSPORT = (*ICE, *DTLS)

EDITS = {
    "setup": without("setup"),
    "setup in the others": in_first_only("setup"),
    "ICE in the others": in_first_only(*ICE),
    "DTLS in the others": in_first_only(*DTLS),
    "ICE and DTLS in the others": in_first_only(*TRANSPORT),
    "ICE, DTLS and candidates in the others": in_first_only(*TRANSPORT, "candidate"),
    "DTLS at the session level": at_session_level(*DTLS),
    "ICE at the session level": at_session_level(*ICE),
    "all at the session level": at_session_level(*TRANSPORT, "ice-options", "rtcp-mux"),
    "RTCP's port": without("rtcp"),
    "SCTP's port": without("sctp-port"),
    "SCTP's sizes": without("sctp-port", "max-message-size"),
    "sources": without("ssrc", "ssrc-group", "msid", "msid-semantic"),
    "feedback": without("rtcp-fb", "extmap"),
    "directions": without("sendrecv", "recvonly", "sendonly"),
    "the end of candidates": without("end-of-candidates", "ice-options"),
    "capitals": lambda text: re.sub(
        r"(?m)^(a=setup:|a=fingerprint:|a=rtpmap:\d+ |a=group:)(.*)$",
        lambda match: match[1] + match[2].swapcase() if "BUNDLE" not in match[2] else match[0],
        text,
    ),
    "the group's letters": lambda text: text.replace("BUNDLE", "bundle"),
    "small letters": lambda text: re.sub("(?m)^m=.*SAVPF", lambda m: m[0].lower(), text),
    "names of capitals": lambda text: re.sub(
        "(?m)^a=(rtcp-mux|setup|ice-ufrag|candidate|fingerprint)",
        lambda m: f"a={m[1].upper()}",
        text,
    ).replace("A=", "a="),
    "LF": lambda text: text.replace("\r\n", "\n"),
    "spaces": lambda text: text.replace("a=group:", "a=group: ").replace("\r\n", " \r\n"),
    "version": lambda text: text.replace("v=0", "v=1"),
    "origin, name and time": lambda text: re.sub("(?m)^[ost]=.*\r\n", "", text),
    "TCP in place of UDP": lambda text: text.replace(" UDP/", " TCP/"),
    "the profile of phones": lambda text: text.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"),
    "the old name of the data section": lambda text: text.replace("UDP/DTLS/SCTP", "DTLS/SCTP"),
    "ports and numbers": lambda text: re.sub(r"(?m)^(m=(?:audio|video) \d+)", r"\1/1", text),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("kind", ["offer", "answer"])
async def test_what_goes_without_saying(make_pc: Factory, name: str, kind: str) -> None:
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())
        pc.addTrack(VideoStreamTrack())
    near.createDataChannel("data")
    edit = EDITS[name]
    offer, answer = (edit, as_it_is) if kind == "offer" else (as_it_is, edit)
    await negotiate_edited(near, far, offer, answer)
    await assert_connected(near, far)
    assert [t.currentDirection for t in near.getTransceivers()] == ["sendrecv"] * 2
    # What is read can be shown, and what is shown can be read.
    third = make_pc()
    description = near.remoteDescription if kind == "answer" else far.remoteDescription
    await third.setRemoteDescription(RTCSessionDescription(description.sdp, "offer"))
    # Later, with a restart.
    near.restartIce()
    await negotiate_edited(near, far, offer, answer)
    await assert_connected(near, far)


@pytest.mark.parametrize("later", [False, True])
async def test_sections_that_rely_on_a_group(make_pc: Factory, *, later: bool) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    if later:
        await negotiate(near, far)
        await wait_connected(near, far)
        near.restartIce()
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    await negotiate_edited(near, far, bundle_only, in_first_only(*TRANSPORT))
    await assert_connected(near, far)
    assert re.findall(r"(?m)^m=\w+ 0 ", far.localDescription.sdp) == []
    assert [t.currentDirection for t in near.getTransceivers()] == ["sendonly"] * 2


async def test_no_mids_and_no_group(make_pc: Factory) -> None:
    """Each section has a transport of its own then."""
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    near.addTrack(VideoStreamTrack())
    near.createDataChannel("data")
    await negotiate_edited(near, far, without("mid", "group"), without("mid", "group"))
    await assert_connected(near, far)


async def test_the_answer_to_an_offer_without_setup(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    text = without("setup")(near.localDescription.sdp)
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    assert "a=setup:active\r\n" in (await far.createAnswer()).sdp


async def test_payload_types_without_rtpmap(make_pc: Factory) -> None:
    """Those below 96 have a meaning of their own. (RFC 3551 section 6)."""
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())
    near.createDataChannel("data")

    def bare(text: str) -> str:
        text = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):.*\r\n", "", text)
        return re.sub("(m=audio .* UDP/TLS/RTP/SAVPF) .*", r"\1 8 13 101 0", text)

    await negotiate_edited(near, far, bare, as_it_is)
    await assert_connected(near, far)
    assert re.search(r"m=audio \d+ UDP/TLS/RTP/SAVPF 8 0\r", far.localDescription.sdp)


# Lines that can't be read. None says what a call can't do without.
UNREADABLE = [
    "a=candidate:1",
    "a=candidate:1 1 udp 5 192.0.2.1 65536 typ host",
    f"a=candidate:1 1 udp 5 192.0.2.1 {'9' * 5000} typ host",
    "a=candidate:1 1 udp x 192.0.2.1 9 typ host",
    "a=candidate:1 1 udp 99999999999 192.0.2.1 9 typ host",
    "a=candidate:1 1 udp 5 192.0.2.1 9 kind host",
    "a=candidate:1 1 udp 5 192.0.2.1 9 typ satellite",
    "a=candidate:1 1 quic 5 192.0.2.1 9 typ host",
    "a=candidate:1 1 ssltcp 5 192.0.2.1 443 typ host",
    "a=candidate:1 1 udp 5 192.0.2.1 9 typ srflx raddr x rport y",
    "a=candidate: 1 udp 5 192.0.2.1 9 typ host generation 0",
    "a=candidate:",
    "a=rtcp:x",
    "a=rtcp:9 IN",
    "a=rtcp:9 IN IP4 a b c",
    "a=rtcp-fb:96",
    "a=rtcp-fb:x nack",
    "a=rtcp-fb:95 nack",
    "a=rtcp-fb:* ",
    "a=fmtp:x apt=96",
    "a=fmtp:99999 apt=96",
    "a=fmtp:95 apt=96",
    "a=fmtp:96",
    "a=fmtp:96 apt=x;max-fr=;=;;",
    "a=extmap:x urn:x",
    "a=extmap:4",
    "a=extmap:0 urn:x",
    "a=extmap:4096 urn:x",
    "a=extmap:4/recvonly urn:x with attributes",
    "a=ssrc:x cname:y",
    "a=ssrc:99999999999 cname:y",
    "a=ssrc-group:FID x",
    "a=ssrc-group:",
    "a=msid:",
    "a=mid:",
    "a=max-message-size:x",
    "a=max-message-size:-1",
    "a=sctpmap:x",
    "a=ice-options:",
    "a=rid:",
    "a=simulcast:foo",
    "a=crypto:1",
    "a=imageattr:x",
    "a=ptime:x",
    "a=group:",
    "a=msid-semantic:",
    "a=",
    "a=:",
    "a=\N{SNOWMAN}:\N{SNOWMAN}",
    "a=x:\x85m=video 9 UDP/TLS/RTP/SAVPF 96",
    "a=x:\u2028a=setup:perhaps",
    "a=rtpmap:95 VP9",
    "a=rtpmap:95 x/8000/stereo",
    "a=rtpmap:x y",
    "b=AS:x",
    "b=foo",
    "c=IN",
    "c=foo",
    "c=IN IP4 224.1.1.1/127/3",
    "i=title \x0b of it",
    "k=clear:x",
    "r=7d",
    "x=y",
    "",
]


@pytest.mark.parametrize("line", UNREADABLE)
async def test_lines_that_are_passed_over(make_pc: Factory, line: str) -> None:
    near, far = make_pc(), make_pc()
    for pc in (near, far):
        pc.addTrack(AudioStreamTrack())
    near.createDataChannel("data")

    def everywhere(text: str) -> str:
        before = re.sub("(?m)^(?=a=)", f"{line}\r\n", text, count=1)
        return re.sub("(?m)^(?=a=ice-ufrag)", f"{line}\r\n", before)

    await negotiate_edited(near, far, everywhere, everywhere)
    await assert_connected(near, far)
    assert near.remoteDescription.sdp.count("\r\nm=") == 2


SESSION = ["a=setup:holdconn", "a=rtpmap:96 x", "a=fingerprint:sha-512", "a=sctp-port:x"]


@pytest.mark.parametrize("line", SESSION)
async def test_a_line_of_the_section_counts_instead_of_the_session_s(
    make_pc: Factory, line: str
) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(VideoStreamTrack())
    near.createDataChannel("data")

    def with_line(text: str) -> str:
        return text.replace("t=0 0\r\n", f"t=0 0\r\n{line}\r\n", 1)

    await negotiate_edited(near, far, with_line, with_line)
    await assert_connected(near, far)


async def test_what_follows_the_encoding_is_passed_over(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.addTrack(AudioStreamTrack())
    near.createDataChannel("data")

    def longer(text: str) -> str:
        return re.sub("(?m)^(a=rtpmap:.*?) *\r$", r"\1 foo\r", text)

    await negotiate_edited(near, far, longer, longer)
    await assert_connected(near, far)
    assert re.search(r"a=rtpmap:\d+ opus/48000/2\r", far.localDescription.sdp)


async def test_a_fingerprint_by_an_unknown_function(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    text = re.sub(r"a=fingerprint:\S+", "a=fingerprint:md5", (await near.createOffer()).sdp)
    with pytest.raises(InvalidContentError, match="sha-512, got 'md5'") as raised:
        await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    assert raised.value.sdpLineNumber == text[: text.index("m=application")].count("\n") + 1
    assert far.remoteDescription is None


@pytest.mark.parametrize(
    "impossible",
    [
        "sha-256 AB:CD",
        f"sha-256 {':'.join(['AB'] * 31)}",
        f"sha-256 {':'.join(['AB'] * 33)}",
        f"sha-256 {'AB' * 32}",
        f"sha-256 {'-'.join(['AB'] * 32)}",
        f"sha-256 {':'.join(['0G'] * 32)}",
        f"SHA-512 {':'.join(['AB'] * 32)}",
        f"sha-1 {':'.join(['AB'] * 32)}",
    ],
)
async def test_a_fingerprint_that_no_certificate_has(make_pc: Factory, impossible: str) -> None:
    """Refused at once, as by libwebrtc, not by the handshake."""
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    text = re.sub(r"(?m)^a=fingerprint:.*?\r\n", "", (await near.createOffer()).sdp)
    wrong = text.replace("a=setup:", f"a=fingerprint:{impossible}\r\na=setup:")
    with pytest.raises(InvalidContentError, match="bytes in a fingerprint by sha") as raised:
        await far.setRemoteDescription(RTCSessionDescription(wrong, "offer"))
    assert raised.value.sdpLineNumber == text[: text.index("m=application")].count("\n") + 1
    assert far.remoteDescription is None
    assert far.signalingState == "stable"
    await negotiate(near, far)
    await wait_connected(near, far)


@pytest.mark.parametrize("beside", ["md5 AB:CD", "sha-1 AB:CD"])
async def test_an_impossible_fingerprint_that_does_not_count(make_pc: Factory, beside: str) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    text = near.localDescription.sdp
    text = text.replace("a=setup:", f"a=fingerprint:{beside}\r\na=setup:")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_connected(near, far)


async def test_port_0_of_sctp(make_pc: Factory) -> None:
    """SCTP has no such port, but libwebrtc takes it, too, and nothing looks at it over DTLS."""
    near, far = make_pc(), make_pc()
    channel = near.createDataChannel("data")
    await near.setLocalDescription()
    text = near.localDescription.sdp.replace("a=sctp-port:5000", "a=sctp-port:0")
    await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    await far.setLocalDescription()
    await near.setRemoteDescription(far.localDescription)
    await wait_until(channel, "open", lambda: channel.readyState == "open")


@pytest.mark.parametrize("name", ["setup", "rtpmap", "fingerprint", "m"])
@pytest.mark.parametrize("omitted", ["sendrecv", "mid", "sendrecv|mid", "rtcp-mux"])
async def test_errors_name_the_line_as_it_came(make_pc: Factory, name: str, omitted: str) -> None:
    """Whatever was left out before it, and is completed."""
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video")
    text = (await near.createOffer()).sdp
    head, audio, video = sections(text)
    audio = without(omitted)(audio)
    start = "m=" if name == "m" else f"a={name}:"
    video = re.sub(f"(?m)^{start}.*$", f"{start}x\r", video, count=1)
    text = head + audio + video
    with pytest.raises(SdpSyntaxError) as raised:
        await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    line = raised.value.sdpLineNumber
    assert text.split("\r\n")[line - 1] == f"{start}x"
    assert f"in line {line}: " in str(raised.value)
    assert far.remoteDescription is None


@pytest.mark.parametrize("name", ["ice-ufrag", "ice-pwd", "fingerprint", "rtcp-mux"])
async def test_what_is_missing_is_named_with_its_section(make_pc: Factory, name: str) -> None:
    near, far = make_pc(), make_pc()
    near.addTransceiver("audio")
    near.addTransceiver("video")
    head, audio, video = sections((await near.createOffer()).sdp)
    head = without("group")(head)
    text = head + audio + without(name)(video)
    line = text[: text.index("m=video")].count("\n") + 1
    with pytest.raises(InvalidContentError) as raised:
        await far.setRemoteDescription(RTCSessionDescription(text, "offer"))
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):  # noqa: S301  our own
        assert error.sdpLineNumber == line
        assert error.__notes__ == [f"in line {line}, or the media section that begins there"]
    assert far.remoteDescription is None


@pytest.mark.parametrize(
    "text",
    [
        "candidate: 1 udp 2113939711 127.0.0.1 {} typ host generation 0",
        "candidate:  1 UDP 2113939711 127.0.0.1 {} TYP HOST",
        "a=candidate: 1 udp 2113939711 127.0.0.1 {} typ host",
        "candidate:1 1 udp 2113939711 127.0.0.1 {} typ srflx raddr 0.0.0.0 rport x",
    ],
)
async def test_candidates_of_cameras(make_pc: Factory, text: str) -> None:
    """Some leave the foundation empty. The call connects by such a candidate alone."""
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await near.setLocalDescription()
    (port,) = re.findall(r"a=candidate:\S+ 1 udp \d+ \S+ (\d+)", near.localDescription.sdp)
    offer = without("candidate", "end-of-candidates")(near.localDescription.sdp)
    await far.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await far.setLocalDescription()
    candidate = RTCIceCandidate.fromJSON({"candidate": text.format(port), "sdpMid": "0"})
    await far.addIceCandidate(candidate)
    assert f" 127.0.0.1 {port} typ " in far.remoteDescription.sdp
    answer = without("candidate", "end-of-candidates")(far.localDescription.sdp)
    await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await assert_connected(near, far)


async def test_candidates_of_an_unknown_type_are_ignored(make_pc: Factory) -> None:
    near, far = make_pc(), make_pc()
    near.createDataChannel("data")
    await far.setRemoteDescription(await near.createOffer())
    before = far.remoteDescription
    for text in ("typ satellite", "typ host-2"):
        init = {"candidate": f"candidate:1 1 udp 5 192.0.2.1 9 {text}", "sdpMid": "0"}
        await far.addIceCandidate(RTCIceCandidate.fromJSON(init))
    assert far.remoteDescription == before
    for text in ("candidate:1", "candidate: 1 udp", "candidate:1 1 udp 5 192.0.2.1 9 kind host"):
        with pytest.raises(CandidateSyntaxError):
            RTCIceCandidate.fromJSON({"candidate": text, "sdpMid": "0"})
