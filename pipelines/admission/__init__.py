"""From a delivery to core: received and kept as raw, judged in one pass, applied as changes. Models nothing."""
