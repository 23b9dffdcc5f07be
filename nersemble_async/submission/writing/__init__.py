"""Predictions into a zip, frame by frame.

- `writers`: what users hold, awaited; `video_writers`, `mesh_writer`: the same for code without an
  event loop, over `writer_base`, and the core of the awaited ones
- `predictions`, `mesh_predictions`: what is asked of a frame and of a mesh
- `video_sink`: one video on its way; `encoding_pool`: many at once
- `archive`: finished files into ``NAME.zip.partial``, then the rename; `archive_journal`: which
"""
