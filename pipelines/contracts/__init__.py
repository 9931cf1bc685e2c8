"""What the city promises, read from `data_contracts/`: strict loading, rules as SQL, export, difference, schema.

Anything that moves or stores data belongs elsewhere.
"""
