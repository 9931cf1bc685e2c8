"""The register: receipts, ledger, issues, recipients, grants and audit, in one SQL database.

Only rows that are not data live here; data lives in Delta tables. SQLite by default, PostgreSQL by URL.
"""

from pipelines.register.store import Register

__all__ = ["Register"]
