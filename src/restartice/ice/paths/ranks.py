"""The program's ranking of the networks of this host."""

import math
from fnmatch import fnmatchcase

from ...logs import ObjectLogger
from ...seam import CandidatePair
from ...settings import NetworkPreference
from ..gathering.interfaces import interface_names
from .networks import sent_from
from .spares import Standing

__all__ = ["NetworkRanks", "rank"]


class NetworkRanks:
    """The ranks of this host's networks, by the names of their interfaces.

    Args:
        prefer: The setting `IceSettings.prefer`.
        log: The log for a failure of the program's function.
    """

    def __init__(self, prefer: NetworkPreference, log: ObjectLogger) -> None:
        self._prefer = prefer
        self._log = log
        self._standings: dict[str, Standing] = {}
        self._names: dict[str, str] = {}
        self._failed = False

    def forget(self) -> None:
        """Forget which addresses are on which interfaces: they may have moved."""
        self._standings.clear()
        self._names.clear()

    def __call__(self, pair: CandidatePair) -> Standing:
        """Return the standing of a pair's local network; with a relay, of the way to the relay."""
        address = sent_from(pair)
        if address not in self._standings:
            if address not in self._names:
                self._names = interface_names()
            name = self._names.get(address, "")
            self._standings[address] = Standing(self._rank(name, address), name)
        return self._standings[address]

    def _rank(self, name: str, address: str) -> float:
        try:
            return rank(self._prefer, name, address)
        except Exception as error:  # noqa: BLE001  it comes from the program's function
            if not self._failed:
                self._log.error("IceSettings.prefer has failed", exc_info=error)
            self._failed = True
            return math.inf


def rank(prefer: NetworkPreference, name: str, address: str) -> float:
    """Return the rank of an interface; the lowest is the best.

    Raises:
        TypeError: The program's function returned no number.
    """
    if callable(prefer):
        given = prefer(name, address)
        if not isinstance(given, int | float) or math.isnan(given):
            raise TypeError(f"IceSettings.prefer must return a number, got {given!r}")
        return float(given)
    places = (place for place, pattern in enumerate(prefer) if fnmatchcase(name, pattern))
    return float(next(places, len(prefer)))
