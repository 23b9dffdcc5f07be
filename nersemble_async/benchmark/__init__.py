"""What exists: pure data, no I/O."""
