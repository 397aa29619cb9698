"""Session descriptions: reading, checking and writing them."""
