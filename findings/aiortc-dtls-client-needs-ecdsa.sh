#!/usr/bin/env bash
# aiortc as DTLS client, which it is when it answers, can't complete a handshake with a peer whose
# certificate is RSA, such as GStreamer's webrtcbin 1.22 makes: it offers cipher suites for ECDSA
# only. ICE says "completed", the connection "failed", and nothing is logged above DEBUG. As DTLS
# server it connects, because a client may authenticate with RSA there.
#
# One would expect ECDHE-RSA suites beside the others, as in browsers, or a word in the log.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet aiortc==1.16.0 aioice==0.13.0 cryptography==50.0.2 pyopenssl==26.4.0

cat >"$folder/shows.py" <<'PYTHON'
import asyncio
import logging
import sys
from importlib.metadata import version

import aioice.ice
import aiortc
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import ec, rsa

aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]

KEYS = {
    "ECDSA": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


class Certificate(aiortc.RTCCertificate):
    """That of a peer which enables what OpenSSL has, for any kind of key."""

    def _create_ssl_context(self, srtp_profiles):
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE+AESGCM")
        return context


class Log(logging.Handler):
    lines = 0

    def emit(self, record):
        self.lines += 1


async def connect(kind, they_offer):
    ours, theirs = (aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[])) for _ in "12")
    key = KEYS[kind]()
    theirs._RTCPeerConnection__certificates = [Certificate(key, generate_certificate(key))]
    offerer, answerer = (theirs, ours) if they_offer else (ours, theirs)
    over = asyncio.Event()
    ours.on("connectionstatechange", lambda: ours.connectionState != "connecting" and over.set())
    offerer.createDataChannel("data")
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(offerer.localDescription)
    await answerer.setLocalDescription(await answerer.createAnswer())
    await offerer.setRemoteDescription(answerer.localDescription)
    await asyncio.wait_for(over.wait(), 30)
    states = ours.iceConnectionState, ours.connectionState
    await ours.close()
    await theirs.close()
    return states


async def main():
    print(", ".join(f"{name} {version(name)}" for name in ("aiortc", "pyOpenSSL", "cryptography")))
    log = Log(logging.WARNING)
    logging.getLogger().addHandler(log)
    found = {}
    for kind in KEYS:
        for they_offer in (True, False):
            found[kind, they_offer] = await connect(kind, they_offer)
            role = "client" if they_offer else "server"
            ice, connection = found[kind, they_offer]
            print(f"peer with {kind}, aiortc is DTLS {role}: ICE {ice}, connection {connection}")
    print(f"lines logged: {log.lines}")
    good, bad = ("completed", "connected"), ("completed", "failed")
    expected = {("ECDSA", True): good, ("ECDSA", False): good, ("RSA", True): bad, ("RSA", False): good}
    return 0 if found == expected and not log.lines else 1


sys.exit(asyncio.run(main()))
PYTHON
"$folder/venv/bin/python" "$folder/shows.py"

# Seen:
# aiortc 1.16.0, pyOpenSSL 26.4.0, cryptography 50.0.2
# peer with ECDSA, aiortc is DTLS client: ICE completed, connection connected
# peer with ECDSA, aiortc is DTLS server: ICE completed, connection connected
# peer with RSA, aiortc is DTLS client: ICE completed, connection failed
# peer with RSA, aiortc is DTLS server: ICE completed, connection connected
# lines logged: 0
