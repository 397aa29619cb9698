"""The operations of a connection: descriptions, candidates, rollback, restart and close."""
