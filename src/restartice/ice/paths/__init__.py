"""The paths beside the one in use: which are kept, and when one of them takes over."""
