"""What the signalings over HTTP have in common: requests, endpoints and fragments of SDP."""
