"""The lake: Delta tables on a local file system, their zones, editions and the dbt build.

Belongs here: what is stored where, how a Delta version is written, read, cloned, promoted and cleaned, and how the
models are built on it. Does not belong here: what a dataset means (contracts), which version is published (release).
"""
