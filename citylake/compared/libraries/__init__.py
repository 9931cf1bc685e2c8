"""What the base libraries say against the simulator's truth: clean records and people, never what was delivered.

Belongs here: computing the truth anew, in plain Python and by none of the platform's SQL, and comparing. Floors
belong to tests, towns that are drawn to benchmarks.
"""
