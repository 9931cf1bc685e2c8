"""Connectors: how rows are pulled from where they live into raw Parquet, unchanged. Nothing is judged here."""

from pipelines.connectors import database, exchange, file_drop, mqtt, open_portal, reference, rest_api
from pipelines.connectors.base import connectors

__all__ = ["connectors", "database", "exchange", "file_drop", "mqtt", "open_portal", "reference", "rest_api"]
