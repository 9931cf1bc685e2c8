"""The erasure of one person by order: what is looked for, which rows and cells of which files it concerns, rewriting
them, the receipt in the ledger, and withholding what departments deliver of the person later.

Contracts say what becomes of a row (`erasure`). Does not belong here: showing a person's rows (release/person).
"""
