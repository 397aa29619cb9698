"""The INIT of SCTP in descriptions is read as it is told, or not at all."""

from base64 import b64decode, b64encode
from struct import pack

import pytest

from restartice.transports.snap import read_init, write_init

# As Chromium writes it.
CHROMIUM = "AQAAHGVPFd8AEAAA/////9tAK2qACAAIgsBAwg=="
MOST = 0xFFFF


def init(
    kind: int = 1,
    *,
    flags: int = 0,
    size: int = 20,
    tag: int = 1,
    streams: tuple[int, int] = (MOST, MOST),
    parameters: bytes = b"",
) -> str:
    fixed = pack("!BBHLLHHL", kind, flags, size + len(parameters), tag, 1 << 20, *streams, 1)
    return b64encode(fixed + parameters).decode()


def test_what_a_browser_tells_is_read() -> None:
    assert read_init(CHROMIUM) == b64decode(CHROMIUM)


def test_padding_is_left_out() -> None:
    chunk = pack("!BBHLLHHL", 1, 0, 22, 1, 1, 1, 1, 1) + b"ab" + bytes(2)
    assert read_init(write_init(chunk)) == chunk[:22]
    assert read_init(b64encode(chunk).decode()) == chunk[:22]


@pytest.mark.parametrize(
    "told",
    [
        "",
        "!",
        CHROMIUM[:-3],
        CHROMIUM[:8],
        CHROMIUM + "\u00e4",
        b64encode(bytes(2000)).decode(),
        init(2),
        init(flags=1),
        init(size=19),
        init(size=21),
        init(tag=0),
        init(streams=(0, 1)),
        init(streams=(1, 0)),
        init(parameters=pack("!HH", 0x8000, 5)),
        init(parameters=pack("!HHHH", 0xC000, 4, 0x8008, 9)),
    ],
)
def test_what_no_init_can_say_is_none(told: str) -> None:
    assert read_init(told) is None


def test_the_least_is_one() -> None:
    assert read_init(init()) is not None
