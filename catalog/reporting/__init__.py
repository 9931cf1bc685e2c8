"""Reports for departments and auditors: what they say, gathered from register and ledger. Their forms are elsewhere."""
