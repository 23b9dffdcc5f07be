"""The zip format: records that are written, entries that are read safely.

- `zip_entries`: anybody's zip, read; `zip_directory`: what it lists; `entry_content`: one entry
- `zip_records`: the bytes around stored entries, written
"""
