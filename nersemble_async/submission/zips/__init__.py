"""The zip format: records that are written, entries that are read safely."""
