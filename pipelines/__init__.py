"""The engine of citylake: plain Python that pulls, admits, builds, proves and releases. It imports no Dagster."""
