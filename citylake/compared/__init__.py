"""What the simulated city planted against what the platform found: recall and precision of each kind.

The one comparison, for tests and for the demo. Nothing here plants, refuses or decides anything.
"""
