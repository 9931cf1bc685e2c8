"""The row API: rows of published products by filters, sorts, pages and aggregates, below `/api/v1`."""
