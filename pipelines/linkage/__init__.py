"""Who a row is about: rows without a usable identity number are linked to persons, and persons have stable ids.

Belongs here: marks of persons, scoring by the frozen model, golden ids, what stewards said. Does not belong here: which
sources take part (their contracts say so), and what libraries make of the result (SQL of the models).
"""
