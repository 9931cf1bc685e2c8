"""What contracts say about how long data is kept, acted on: what is due, legal holds against it, ending it, and what
was ended.

Does not belong here: rewriting files (lake/rewrite), and the erasure of a person (erasure).
"""
