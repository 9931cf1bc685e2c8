"""The written form of contracts: what keys an author may use. Keys are those of ODCS 3.2 where it has one.

Structure only; what names refer to is resolved in `load`. The JSON Schema for editors is generated from these classes.
"""
