"""ICE: generations of credentials and candidates, and the handover from one to the next."""
