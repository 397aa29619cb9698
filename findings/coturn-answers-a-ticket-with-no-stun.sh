#!/usr/bin/env bash
# A client of a TURN server with mobility (RFC 8016) that shows its ticket from another address, in a
# Refresh request, gets 24 bytes from coturn that are no STUN message. The allocation has followed all
# the same: the same request, sent once more, gets the answer.
#
# One would expect the answer at once (RFC 8016 section 3.2.2). By UDP a client repeats its request, but
# after half a second only; by TCP and TLS it doesn't (RFC 8489 section 6.2.2), and can't find the
# beginning of the next message.
set -euo pipefail

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
# Debian 12's package, unpacked; its libraries come with the package when that is installed.
command -v turnserver >/dev/null || apt-get install --quiet --quiet --yes coturn >/dev/null
(cd "$folder" && apt-get -o APT::Sandbox::User=root download --quiet --quiet coturn=4.6.1-1 && dpkg-deb --extract coturn_*.deb coturn)
"$folder/coturn/usr/bin/turnserver" -c /dev/null --log-file stdout --no-cli --no-tls --no-dtls \
    --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port 34782 --allow-loopback-peers \
    --lt-cred-mech --realm example.org --user alice:secret --mobility \
    --userdb "$folder/users" --pidfile "$folder/pid" >"$folder/log" 2>&1 &
server=$!

cat >"$folder/shows.py" <<'PYTHON'
import hashlib
import hmac
import os
import socket
import struct
import sys
import time

SERVER = ("127.0.0.1", 34782)
COOKIE = b"\x21\x12\xa4\x42"
ALLOCATE, REFRESH = 0x0003, 0x0004
USERNAME, INTEGRITY, ERROR_CODE, LIFETIME = 0x0006, 0x0008, 0x0009, 0x000D
REALM, NONCE, TRANSPORT, TICKET = 0x0014, 0x0015, 0x0019, 0x8030
KEY = hashlib.md5(b"alice:example.org:secret").digest()


class Client:
    """A client of TURN at an address, which is a port here, of its own."""

    def __init__(self, kind):
        way = socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM
        self.socket = socket.socket(socket.AF_INET, way)
        self.socket.settimeout(10)
        self.socket.connect(SERVER)

    def request(self, method, *attributes):
        """Send a request, unsigned at first as the RFC has it, and then signed; return the latter."""
        self.ask(packed(method, attributes))
        answer = attributes_of(self.socket.recv(2048))
        if answer[ERROR_CODE][2:4] != b"\x04\x01":
            raise ConnectionError("expected 401 (Unauthenticated)")
        known = [(USERNAME, b"alice"), (REALM, answer[REALM]), (NONCE, answer[NONCE])]
        return packed(method, [*attributes, *known], signed=True)

    def ask(self, message):
        self.socket.send(message)


def packed(method, attributes, signed=False):
    body = b"".join(map(field, attributes))
    head = COOKIE + os.urandom(12)
    if signed:
        covered = struct.pack("!HH", method, len(body) + 24) + head + body
        body += field((INTEGRITY, hmac.digest(KEY, covered, "sha1")))
    return struct.pack("!HH", method, len(body)) + head + body


def field(attribute):
    name, value = attribute
    return struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)


def attributes_of(message):
    found, place = {}, 20
    while place < len(message):
        name, length = struct.unpack_from("!HH", message, place)
        found[name] = message[place + 4 : place + 4 + length]
        place += 4 + (length + 3) // 4 * 4
    return found


def wait_for_server():
    for _ in range(100):
        try:
            Client("TCP").socket.close()
            # It listens to UDP a little later.
            Client("UDP").request(ALLOCATE)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server doesn't answer")


def move(kind):
    """Return the first and the second answer to a ticket that is shown from another address."""
    before, after = Client(kind), Client(kind)
    before.ask(before.request(ALLOCATE, (TRANSPORT, b"\x11\0\0\0"), (TICKET, b"")))
    ticket = attributes_of(before.socket.recv(2048))[TICKET]
    request = after.request(REFRESH, (LIFETIME, struct.pack("!I", 600)), (TICKET, ticket))
    answers = []
    for _ in range(2):
        after.ask(request)
        answer = after.socket.recv(2048)
        is_answer = answer[:2] == b"\x01\x04" and answer[4:20] == request[4:20]
        answers.append("success" if is_answer else f"{len(answer)} bytes")
        if not is_answer and answer[4:8] == COOKIE:
            answers[-1] = "another message of STUN"
    return answers


def main():
    wait_for_server()
    print("coturn 4.6.1")
    seen = {kind: move(kind) for kind in ("UDP", "TCP")}
    for kind, answers in seen.items():
        print(f"by {kind}: the ticket gets {answers[0]}; the same request again gets {answers[1]}")
    return 0 if all(answers == ["24 bytes", "success"] for answers in seen.values()) else 1


sys.exit(main())
PYTHON
python3 "$folder/shows.py"

# Seen:
# coturn 4.6.1
# by UDP: the ticket gets 24 bytes; the same request again gets success
# by TCP: the ticket gets 24 bytes; the same request again gets success
