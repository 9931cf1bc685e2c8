"""`python -m citylake`."""

from citylake.main import app

app()
