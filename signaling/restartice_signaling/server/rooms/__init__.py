"""Where sessions and rooms are kept: in memory, or in a Redis that servers share."""
