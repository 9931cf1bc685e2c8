"""Drafts of contracts: what a source offers, what its values look like, and which fields they may be."""
