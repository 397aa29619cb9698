"""DTLS with peers of all kinds, and what is told of a handshake that fails."""

import asyncio
import functools
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiortc
import pytest
from aiortc import RTCSessionDescription
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from certificates import rsa_certificate, use_certificate, with_suites
from conftest import Factory
from connecting import DEADLINE, Echo, negotiate, wait_for_state, wait_until
from restartice import RTCConfiguration
from restartice.transports import dtls as dtlstransport

KINDS: dict[str, Callable[[], aiortc.RTCCertificate]] = {
    "EC": aiortc.RTCCertificate.generateCertificate,
    "RSA": rsa_certificate,
    "RSA-4096": lambda: rsa_certificate(4096),
}
ALL_SUITES = b"ECDHE+AESGCM"
NUMBER = re.compile(r"\(\d+/\d+\)")
OTHER = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
Tamper = Callable[[RTCSessionDescription], RTCSessionDescription]


@pytest.fixture
async def plain() -> AsyncIterator[aiortc.RTCPeerConnection]:
    pc = aiortc.RTCPeerConnection()
    yield pc
    await pc.close()


def dtls(pc: aiortc.RTCPeerConnection) -> Any:
    assert pc.sctp is not None
    return pc.sctp.transport


def unchanged(description: RTCSessionDescription) -> RTCSessionDescription:
    return description


def with_other_fingerprint(description: RTCSessionDescription) -> RTCSessionDescription:
    sdp = re.sub(r"a=fingerprint:sha-256 \S+", OTHER, description.sdp)
    assert sdp != description.sdp
    return RTCSessionDescription(sdp, description.type)


async def hand_over(
    offerer: aiortc.RTCPeerConnection,
    answerer: aiortc.RTCPeerConnection,
    offer: Tamper = unchanged,
    answer: Tamper = unchanged,
) -> None:
    """Negotiate, with what is done to the descriptions on their way."""
    offerer.createDataChannel("data")
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(offer(offerer.localDescription))
    await answerer.setLocalDescription(await answerer.createAnswer())
    await offerer.setRemoteDescription(answer(answerer.localDescription))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what a person reads of it who has set up no logging, N being any number."""
    return [
        NUMBER.sub("(N)", record.getMessage(), count=1)
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("restartice")
    ]


@pytest.mark.parametrize("server", KINDS)
@pytest.mark.parametrize("client", KINDS)
async def test_certificates_of_any_kind(make_pc: Factory, server: str, client: str) -> None:
    near = make_pc(RTCConfiguration(certificates=[KINDS[server]()]))
    far = make_pc(RTCConfiguration(certificates=[KINDS[client]()]))
    echo = Echo(near, far)
    await negotiate(near, far)
    await echo.check()
    assert (dtls(near)._core.role, dtls(far)._core.role) == ("server", "client")
    authenticated = "ECDSA" if server == "EC" else "RSA"
    for pc in (near, far):
        assert dtls(pc)._core.tls.get_cipher_name() == f"ECDHE-{authenticated}-AES128-GCM-SHA256"


async def test_changed_parameters_change_nothing_else(make_pc: Factory) -> None:
    """The digests of a certificate are computed once, for each connection that uses it."""
    certificate = aiortc.RTCCertificate.generateCertificate()
    digests = certificate.getFingerprints()
    configuration = RTCConfiguration(certificates=[certificate])
    for pc in (make_pc(configuration), make_pc(configuration)):
        pc.createDataChannel("chat")
        parameters = dtls(pc).getLocalParameters()
        assert parameters.fingerprints == digests
        parameters.fingerprints[0].value = "00"
        parameters.fingerprints.pop()
        assert dtls(pc).getLocalParameters().fingerprints == digests
        offer = await pc.createOffer()
        assert all(digest.value in offer.sdp for digest in digests)


# aiortc cuts flights that are longer than 1500 bytes, which RSA-4096 makes.
@pytest.mark.parametrize("kind", ["EC", "RSA"])
@pytest.mark.parametrize("they_offer", [True, False])
async def test_a_peer_with_all_that_openssl_has(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, kind: str, *, they_offer: bool
) -> None:
    """It is the DTLS server where it offers, and has an RSA certificate, as GStreamer has."""
    use_certificate(plain, with_suites(KINDS[kind](), ALL_SUITES))
    ours = make_pc()
    echo = Echo(plain, ours) if they_offer else Echo(ours, plain)
    await negotiate(*((plain, ours) if they_offer else (ours, plain)))
    await echo.check()
    assert dtls(ours)._core.role == ("client" if they_offer else "server")


@pytest.mark.parametrize("kind", KINDS)
async def test_our_certificate_towards_aiortc(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, kind: str
) -> None:
    ours = make_pc(RTCConfiguration(certificates=[KINDS[kind]()]))
    echo = Echo(plain, ours)
    await negotiate(plain, ours)
    await echo.check()


@pytest.mark.parametrize("name", ["sha-1", "sha-224"])
async def test_a_gateway_with_a_weaker_fingerprint_only(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, name: str
) -> None:
    """With which libwebrtc connects, too."""
    certificate = KINDS["EC"]()
    use_certificate(plain, certificate)
    der = certificate._cert.public_bytes(Encoding.DER)
    line = f"a=fingerprint:{name} {hashlib.new(name.replace('-', ''), der).digest().hex(':')}\r\n"

    def with_it_only(description: RTCSessionDescription) -> RTCSessionDescription:
        sdp = re.sub(r"(a=fingerprint:.*\r\n)+", line, description.sdp)
        return RTCSessionDescription(sdp, description.type)

    ours = make_pc()
    await hand_over(plain, ours, offer=with_it_only)
    for pc in (ours, plain):
        await wait_for_state(pc, "connectionState", "connected")


async def test_no_cipher_suite_in_common(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, caplog: pytest.LogCaptureFixture
) -> None:
    """Both sides fail at once, the other one by our alert."""
    use_certificate(plain, with_suites(KINDS["EC"](), b"ECDHE-ECDSA-AES256-GCM-SHA384"))
    ours = make_pc()
    await hand_over(ours, plain)
    for pc in (ours, plain):
        await wait_for_state(pc, "connectionState", "failed")
    assert warnings(caplog) == [
        "RTCDtlsTransport(N) handshake as server has failed: OpenSSL says: no shared cipher"
    ]


async def test_the_peer_refuses(make_pc: Factory, caplog: pytest.LogCaptureFixture) -> None:
    ours = make_pc()
    theirs = make_pc(
        RTCConfiguration(certificates=[with_suites(KINDS["EC"](), b"ECDHE-ECDSA-AES256-CCM")])
    )
    await hand_over(theirs, ours)
    for pc in (ours, theirs):
        await wait_for_state(pc, "connectionState", "failed")
    assert len(warnings(caplog)) == 2
    (heard,) = [text for text in warnings(caplog) if " as client" in text]
    assert "handshake as client has failed: the peer has refused it (" in heard
    assert "alert handshake failure" in heard


@pytest.mark.parametrize("wrong", ["server", "client"])
async def test_a_wrong_fingerprint_ends_both_sides(
    make_pc: Factory, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    near, far = make_pc(), make_pc()
    tampered = {"server": "offer", "client": "answer"}[wrong]
    await hand_over(near, far, **{tampered: with_other_fingerprint})
    for pc in (near, far):
        await wait_for_state(pc, "connectionState", "failed")
        assert dtls(pc).state == "failed"
        # DTLS may fail before a pair is nominated.
        await wait_until(pc, "iceconnectionstatechange", functools.partial(has_path, pc))
    noticed = "client" if wrong == "server" else "server"
    assert sorted(text.partition(":")[0] for text in warnings(caplog)) == [
        "RTCDtlsTransport(N) handshake as client has failed",
        "RTCDtlsTransport(N) handshake as server has failed",
    ]
    (seen,) = [text for text in warnings(caplog) if f" as {noticed}" in text]
    assert seen.endswith("the peer's certificate has another fingerprint than its description")


@pytest.mark.parametrize("wrong", ["server", "client"])
async def test_a_wrong_fingerprint_closes_data_channels(make_pc: Factory, wrong: str) -> None:
    near, far = make_pc(), make_pc()
    channels = [
        near.createDataChannel("told"),
        near.createDataChannel("numbered", id=6),
        *(pc.createDataChannel("negotiated", negotiated=True, id=8) for pc in (near, far)),
    ]
    happened: list[asyncio.Queue[str]] = []
    for channel in channels:
        happened.append(asyncio.Queue())
        channel.on("error", happened[-1].put_nowait)
        channel.on("close", functools.partial(happened[-1].put_nowait, "close"))
    tampered = {"server": "offer", "client": "answer"}[wrong]
    await hand_over(near, far, **{tampered: with_other_fingerprint})
    async with asyncio.timeout(DEADLINE):
        for events in happened:
            assert str(await events.get()) == "DTLS has failed"
            assert await events.get() == "close"
    assert {channel.readyState for channel in channels} == {"closed"}
    for pc in (near, far):
        assert pc.sctp is not None
        assert (pc.sctp.state, dtls(pc).state) == ("closed", "failed")
        await wait_for_state(pc, "connectionState", "failed")
        late = pc.createDataChannel("late")
        await wait_until(late, "close", functools.partial(is_closed, late))


def has_path(pc: aiortc.RTCPeerConnection) -> bool:
    return pc.iceConnectionState in {"connected", "completed"}


def is_closed(channel: aiortc.RTCDataChannel) -> bool:
    return channel.readyState == "closed"


@pytest.mark.parametrize("they_offer", [True, False])
async def test_a_wrong_fingerprint_ends_aiortc_too(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, *, they_offer: bool
) -> None:
    ours = make_pc()
    if they_offer:
        await hand_over(plain, ours, offer=with_other_fingerprint)
    else:
        await hand_over(ours, plain, answer=with_other_fingerprint)
    for pc in (ours, plain):
        await wait_for_state(pc, "connectionState", "failed")


@pytest.mark.parametrize("they_offer", [True, False])
async def test_no_srtp_profile_in_common(
    make_pc: Factory,
    plain: aiortc.RTCPeerConnection,
    caplog: pytest.LogCaptureFixture,
    *,
    they_offer: bool,
) -> None:
    """OpenSSL takes the handshake for complete, so the other side is told that it is over."""
    ours = make_pc()
    offerer, answerer = (plain, ours) if they_offer else (ours, plain)
    offerer.createDataChannel("data")
    dtls(offerer)._srtp_profiles = dtls(offerer)._srtp_profiles[:1]
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(offerer.localDescription)
    await answerer.setLocalDescription(await answerer.createAnswer())
    dtls(answerer)._srtp_profiles = dtls(answerer)._srtp_profiles[1:]
    await offerer.setRemoteDescription(answerer.localDescription)
    await wait_for_state(ours, "connectionState", "failed")
    await wait_for_state(plain, "connectionState", "failed")
    assert [text.partition(": ")[2] for text in warnings(caplog)] == [
        "there is no SRTP profile in common"
    ]


async def test_a_peer_that_takes_the_handshake_for_complete(
    make_pc: Factory, plain: aiortc.RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no SRTP, so it has to be told that it is over."""
    ours = make_pc()
    plain.createDataChannel("data")
    dtls(plain)._srtp_profiles = dtls(plain)._srtp_profiles[1:]
    monkeypatch.setattr(dtls(plain), "_setup_srtp", lambda: None)
    await plain.setLocalDescription(await plain.createOffer())
    await ours.setRemoteDescription(plain.localDescription)
    await ours.setLocalDescription()
    dtls(ours)._srtp_profiles = dtls(ours)._srtp_profiles[:1]
    await plain.setRemoteDescription(ours.localDescription)
    await wait_for_state(ours, "connectionState", "failed")
    await wait_for_state(plain, "connectionState", "closed")


async def test_an_alert_after_the_handshake(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    """There are peers that look at the fingerprint when we have completed the handshake."""
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    ended = asyncio.Event()
    faults: list[Exception] = []
    echo.channel.on("error", faults.append)
    echo.channel.on("close", ended.set)
    await negotiate(near, far)
    await echo.check()
    # OpenSSL takes it for fatal that the other side's OpenSSL allows no other handshake.
    client = dtls(far)
    client._core.tls.renegotiate()
    with pytest.raises(SSL.WantReadError):
        client._core.tls.do_handshake()
    await client._write_ssl()
    for pc in (near, far):
        await wait_for_state(pc, "connectionState", "failed")
    assert sorted(warnings(caplog)) == [
        "RTCDtlsTransport(N) failed as client: alert 40 was sent",
        "RTCDtlsTransport(N) failed as server: the peer has sent alert 40",
    ]
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    assert [str(fault) for fault in faults] == ["DTLS has failed"]
    for pc in (near, far):
        assert dtls(pc).state == "failed"
        await pc.close()
        assert dtls(pc).state == "closed"


async def test_a_peer_that_goes_on_and_on(
    make_pc: Factory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is told while it lasts, and so is the end of OpenSSL's patience."""
    monkeypatch.setattr(dtlstransport, "PATIENCE", 0.1)
    ours, theirs = make_pc(), make_pc()
    theirs.createDataChannel("data")
    monkeypatch.setattr(dtls(theirs)._core, "shake_hands", never)
    await hand_over(theirs, ours)
    # OpenSSL repeats its flight 12 times in 9 minutes, and then says this.
    given_up = SSL.Error([("SSL routines", "", "read timeout expired")])

    def give_up(_: SSL.Connection) -> None:
        raise given_up

    monkeypatch.setattr(SSL.Connection, "DTLSv1_handle_timeout", give_up)
    await wait_for_state(ours, "connectionState", "failed")
    ours_said = [text for text in warnings(caplog) if " as client" in text]
    assert ours_said == [
        "RTCDtlsTransport(N) handshake as client isn't complete after 0.1 s, and goes on",
        "RTCDtlsTransport(N) handshake as client has failed: the peer hasn't answered",
    ]


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_close_in_the_middle_is_no_failure(
    make_pc: Factory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = make_pc(), make_pc()
    theirs.createDataChannel("data")
    monkeypatch.setattr(dtls(theirs)._core, "shake_hands", never)
    await hand_over(theirs, ours)
    await wait_until(dtls(ours), "statechange", lambda: dtls(ours).state == "connecting")
    await ours.close()
    await theirs.close()
    assert warnings(caplog) == []


async def test_what_succeeds_is_not_worth_a_word(
    make_pc: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    await negotiate(near, far)
    await echo.check()
    for pc in (near, far):
        traffic = dtls(pc)._core.traffic()
        assert min(traffic.bytes_sent, traffic.bytes_received) > 1000
        await pc.close()
    assert warnings(caplog) == []


async def test_what_the_client_could_not_decrypt_is_sent_again_with_the_last_flight(
    make_pc: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What opens the channel follows the last flight, and would be repeated after a second.
    monkeypatch.setattr("restartice.transports.sctp.early_delays", lambda _: [])
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    core = dtls(near)._core
    deliver, sent = core._send_datagram, list[bytes]()

    async def send(datagram: bytes) -> None:
        sent.append(datagram)
        # The second one is the server's last flight.
        if len(sent) != 2:
            await deliver(datagram)

    core._send_datagram = send
    await negotiate(near, far)
    await wait_until(dtls(far), "statechange", lambda: dtls(far).state == "connected")
    encrypted = asyncio.get_running_loop().time()
    await echo.check()
    assert asyncio.get_running_loop().time() - encrypted < 0.5
    assert core.role == "server"
    assert sent[1] in sent[2:]


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("number", [0, 1])
async def test_what_gets_lost_of_a_handshake_is_soon_sent_again(
    make_pc: Factory, role: str, number: int
) -> None:
    """The second datagram of the server is its last flight, for which OpenSSL sets no timer."""
    near, far = make_pc(), make_pc()
    echo = Echo(near, far)
    # Who answers is the client.
    transport = dtls(near)
    sent: list[bytes] = []
    lost: list[bytes] = []

    async def send(datagram: bytes) -> None:
        sent.append(datagram)
        if sent[number:] == [datagram] and not lost:
            lost.append(datagram)
        else:
            await deliver(datagram)

    await near.setLocalDescription()
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription()
    if role == "client":
        transport = dtls(far)
    core = transport._core
    deliver = core._send_datagram
    core._send_datagram = send
    await near.setRemoteDescription(far.localDescription)
    await echo.check()
    assert core.role == role
    assert sent.count(lost[0]) >= 2
    # What comes later is read without a look ahead.
    assert dtls(near)._core._last_flight == []
