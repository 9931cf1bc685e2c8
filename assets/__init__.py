"""Dagster only: thin factories that show the engine's steps as assets, checks, jobs, schedules. No logic of its own."""
