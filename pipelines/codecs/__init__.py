"""How values are written: identifiers and cleaning steps, each a vectorised expression. No I/O, no contracts."""
