"""What comes in at the sockets of ICE, and whether it is let in."""
