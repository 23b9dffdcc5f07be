"""Bytes ↔ arrays: plain blocking functions, no async."""
