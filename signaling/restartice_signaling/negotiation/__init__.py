"""Perfect negotiation between a peer connection and whatever carries its descriptions."""
