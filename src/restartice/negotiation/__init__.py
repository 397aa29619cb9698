"""What the operations chain of a connection does: descriptions, candidates, rollback."""
