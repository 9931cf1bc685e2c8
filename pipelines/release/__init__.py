"""Releases: the decision about one version, the ledger that records it, and the act of publishing it."""
