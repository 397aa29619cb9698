"""Validation of a configuration, and what of it may be changed. (W25)."""

import dataclasses
import datetime as dt
from typing import Any

import aiortc
import pytest

from certificates import rsa_certificate
from restartice import (
    IceServerSyntaxError,
    InvalidAccessError,
    InvalidModificationError,
    InvalidStateError,
    RTCBundlePolicy,
    RTCCertificate,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtcpMuxPolicy,
)
from restartice.configuration import in_force, validated


@pytest.mark.parametrize(
    "url",
    [
        "stun:stun.example.net",
        "stuns:stun.example.net:5349",
        "STUN:192.0.2.1",
        "stun:[2001:db8::1]:3478",
    ],
)
def test_valid_stun_urls(url: str) -> None:
    assert validated(RTCConfiguration(iceServers=[RTCIceServer(urls=url)])).iceServers


@pytest.mark.parametrize(
    "url",
    [
        "turn:turn.example.net",
        "turns:turn.example.net:443?transport=tcp",
        "turn:turn.example.net?transport=udp",
        ["stun:turn.example.net", "turn:turn.example.net"],
    ],
)
def test_turn_needs_username_and_credential(url: str | list[str]) -> None:
    server = RTCIceServer(urls=url, username="ann", credential="secret")
    assert validated(RTCConfiguration(iceServers=[server])).iceServers == [server]
    for missing in ("username", "credential"):
        lacking = dataclasses.replace(server)
        setattr(lacking, missing, None)
        with pytest.raises(InvalidAccessError, match="username and a credential"):
            RTCPeerConnection(RTCConfiguration(iceServers=[lacking]))


def test_a_username_may_be_empty_but_not_longer_than_stun_can_say() -> None:
    validated(RTCConfiguration(iceServers=[RTCIceServer("turn:a", username="", credential="")]))
    server = RTCIceServer("turn:a", username="u" * 510, credential="c")
    with pytest.raises(InvalidAccessError, match="509"):
        validated(RTCConfiguration(iceServers=[server]))


@pytest.mark.parametrize(
    "url",
    [
        "",
        [],
        [""],
        "stun",
        "stun:",
        "stun://stun.example.net",
        "http://stun.example.net",
        "stun:stun.example.net?transport=udp",
        "stun:stun.example.net:0",
        "stun:stun.example.net:65536",
        "stun:stun.example.net:port",
        "turn:turn.example.net?transport=sctp",
        "turn:turn.example.net?",
        "turn:ann@turn.example.net",
        " stun:stun.example.net",
        ["stun:stun.example.net", "nonsense"],
    ],
)
def test_malformed_urls(url: str | list[str]) -> None:
    server = RTCIceServer(urls=url, username="ann", credential="secret")
    with pytest.raises(IceServerSyntaxError):
        RTCPeerConnection(RTCConfiguration(iceServers=[server]))


@pytest.mark.parametrize(
    "values",
    [
        {"iceTransportPolicy": "any"},
        {"bundlePolicy": None},
        {"rtcpMuxPolicy": "negotiate"},
        {"iceCandidatePoolSize": -1},
        {"iceCandidatePoolSize": 256},
        {"iceCandidatePoolSize": 1.0},
        {"iceCandidatePoolSize": True},
        {"certificates": ["certificate"]},
        {"iceServers": ["stun:stun.example.net"]},
    ],
)
def test_values_that_are_none_of_those_allowed(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        validated(RTCConfiguration(**values))


def test_the_value_of_an_enum_will_do() -> None:
    configuration = RTCConfiguration(
        bundlePolicy="max-bundle",  # type: ignore[arg-type]
        iceTransportPolicy="relay",  # type: ignore[arg-type]
        rtcpMuxPolicy="require",  # type: ignore[arg-type]
    )
    assert validated(configuration).bundlePolicy is RTCBundlePolicy.MAX_BUNDLE
    assert validated(configuration).iceTransportPolicy is RTCIceTransportPolicy.RELAY
    assert validated(configuration).rtcpMuxPolicy is RTCRtcpMuxPolicy.REQUIRE


def test_an_expired_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = RTCCertificate.generateCertificate()
    past = dt.datetime.now(tz=dt.UTC) - dt.timedelta(seconds=1)
    monkeypatch.setattr(RTCCertificate, "expires", property(lambda _: past))
    with pytest.raises(InvalidAccessError, match="expired"):
        validated(RTCConfiguration(certificates=[certificate]))


def mixed(key: RTCCertificate, certificate: RTCCertificate) -> RTCCertificate:
    return RTCCertificate(key._key, certificate._cert)


def test_certificates_that_openssl_refuses() -> None:
    one, other = RTCCertificate.generateCertificate(), RTCCertificate.generateCertificate()
    short = rsa_certificate(1024)
    for unusable in (mixed(one, other), mixed(one, rsa_certificate()), short):
        with pytest.raises(InvalidAccessError, match="refuses a certificate: OpenSSL says"):
            RTCPeerConnection(RTCConfiguration(certificates=[unusable]))


def test_the_configuration_returned_is_a_copy() -> None:
    configuration = RTCConfiguration(iceServers=[RTCIceServer("stun:a")])
    copied = in_force(validated(configuration), [])
    assert copied.iceServers is not None
    copied.iceServers[0].urls = "stun:b"
    copied.iceServers.append(RTCIceServer("stun:c"))
    assert configuration.iceServers == [RTCIceServer("stun:a")]


async def test_get_configuration_returns_what_is_in_force() -> None:
    pc = RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[RTCIceServer("stun:a")]))
    configuration = pc.getConfiguration()
    assert configuration.iceServers == [RTCIceServer("stun:a")]
    assert configuration.bundlePolicy is RTCBundlePolicy.BALANCED
    assert configuration.iceCandidatePoolSize == 0
    # It can be altered, and set.
    configuration.iceServers.append(RTCIceServer("stun:b"))
    assert len(pc.getConfiguration().iceServers or []) == 1
    pc.setConfiguration(configuration)
    assert len(pc.getConfiguration().iceServers or []) == 2
    await pc.close()


async def test_without_servers_aiortc_s_are_in_force() -> None:
    pc = RTCPeerConnection()
    assert pc.getConfiguration().iceServers == aiortc.RTCIceGatherer.getDefaultIceServers()
    pc.setConfiguration(RTCConfiguration(iceServers=[]))
    assert pc.getConfiguration().iceServers == []
    await pc.close()


@pytest.mark.parametrize(
    "values",
    [
        {"bundlePolicy": RTCBundlePolicy.MAX_BUNDLE},
        {"alwaysNegotiateDataChannels": True},
        {"certificates": []},
    ],
)
async def test_what_can_not_be_changed(values: dict[str, Any]) -> None:
    pc = RTCPeerConnection()
    before = pc.getConfiguration()
    servers = [RTCIceServer("stun:a")]
    with pytest.raises(InvalidModificationError, match=next(iter(values))):
        pc.setConfiguration(RTCConfiguration(iceServers=servers, **values))
    assert pc.getConfiguration() == before
    await pc.close()


async def test_certificates_of_ones_own() -> None:
    certificate = RTCCertificate.generateCertificate()
    pc = RTCPeerConnection(RTCConfiguration(certificates=[certificate]))
    assert pc.getConfiguration().certificates == [certificate]
    pc.createDataChannel("chat")
    offer = await pc.createOffer()
    assert certificate.getFingerprints()[0].value in offer.sdp
    # The same ones may be given again, or none.
    pc.setConfiguration(RTCConfiguration(certificates=[certificate]))
    pc.setConfiguration(RTCConfiguration())
    with pytest.raises(InvalidModificationError):
        pc.setConfiguration(RTCConfiguration(certificates=[RTCCertificate.generateCertificate()]))
    await pc.close()


async def test_the_pool_size_is_fixed_by_the_first_local_description() -> None:
    pc = RTCPeerConnection()
    pc.setConfiguration(RTCConfiguration(iceServers=[], iceCandidatePoolSize=1))
    assert pc.getConfiguration().iceCandidatePoolSize == 1
    await pc.setLocalDescription()
    with pytest.raises(InvalidModificationError):
        pc.setConfiguration(RTCConfiguration(iceServers=[], iceCandidatePoolSize=2))
    await pc.close()


async def test_a_closed_connection_can_not_be_configured() -> None:
    pc = RTCPeerConnection()
    await pc.close()
    with pytest.raises(InvalidStateError):
        pc.setConfiguration(RTCConfiguration())
