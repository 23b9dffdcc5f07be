"""Where bytes rest: part files, journals, records."""
