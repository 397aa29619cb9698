"""What the kernel does to the datagrams of programs that get too little time."""

from pathlib import Path


def overflowed() -> int:
    """Return how many datagrams found the buffer of their socket full, of all programs.

    That happens where a process gets no time for so long that nobody empties the buffer, which
    tells nothing about the program.
    """
    lines = Path("/proc/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp:"))
    return int(values[names.index("RcvbufErrors")])
