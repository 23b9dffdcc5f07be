"""What leaves: predictions into a zip, frame by frame, and every flaw in one before it is sent.

- `writers`: what users hold, awaited; `blocking_writers`: the core of it, for code without a loop
- `predictions`: what is asked of a frame; `video_sink`: one video on its way; `encoding_pool`: many
- `archive`: finished files into ``NAME.zip.partial``, a journal beside it; then the rename
- `entries`: what a zip of a benchmark has to hold
- `zip_entries`: what a zip does hold, read safely; `readers`, `blocking_readers`: as arrays
- `issues`: what can be wrong; `validation`: everything that is
"""
