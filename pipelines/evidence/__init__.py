"""Proof that a candidate keeps its contract: measurements, a second opinion on them, and the evidence made of both.

What follows from the evidence is decided in `pipelines.release`.
"""
