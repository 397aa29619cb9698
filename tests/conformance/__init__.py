"""A JavaScript engine around a peer connection, to run the browsers' conformance tests on it."""
