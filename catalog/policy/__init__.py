"""Who may read what: recipients, tokens, grants, the one decision, and the audit of every answer. Opens no data."""
