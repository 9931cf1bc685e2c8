"""The command line of citylake. It starts the same jobs the Dagster UI shows and calls the rooms; it holds no logic."""
