"""Chooses which of the host's addresses ICE uses."""

from ...seam import addresses_by_interface
from ...settings import InterfaceFilter

__all__ = ["allowed_addresses"]


def allowed_addresses(addresses: list[str], interfaces: InterfaceFilter | None) -> list[str]:
    """Return the addresses on the chosen interfaces; None chooses all.

    A filter function gets an empty name for an address on no interface.
    """
    if interfaces is None:
        return list(addresses)
    names = interface_names()
    if callable(interfaces):
        return [a for a in addresses if interfaces(names.get(a, ""), a)]
    return [a for a in addresses if names.get(a) in interfaces]


def interface_names() -> dict[str, str]:
    """Return the interface name of each address of the host."""
    return {
        address: name
        for name, addresses in addresses_by_interface().items()
        for address in addresses
    }
