"""What users hold: a data manager for each benchmark, with the official toolkit's methods."""
