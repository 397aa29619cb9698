"""The common parts of the signalings over HTTP: requests, endpoints and fragments of SDP."""
