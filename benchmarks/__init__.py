"""Measurements against a peer or the physical limit, in one run on one machine. Nothing imports this."""
