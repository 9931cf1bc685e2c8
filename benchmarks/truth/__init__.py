"""How right the base libraries are: a town drawn at run time lives on for some weeks, is delivered and built, and what
the libraries say is held against the simulator's truth, never against what was delivered.

`python -m benchmarks.truth [PERSONS]` prints the figures; `tests/slow/test_truth.py` has their floors. Nothing here is
learned from: no rule and no order of authorities is made from a town that is measured.
"""
