"""What leaves: predictions into a zip, frame by frame, and every flaw in one before it is sent.

From above to below, as the imports go:

- `packing`: a submission from folders of pictures, videos or meshes
- `writing`: what users hold to write one; `reading`: what one holds, as arrays
- `validation`: everything that is wrong with one
- `zips`: the zip format, written whole and read safely
- `entries`: what a zip of a benchmark has to hold; `metadata_source`: how long its videos are
- `rules`, `issues`: what can be wrong, as data
- `thread_lifetimes`: what is opened and closed in threads, whatever is cancelled meanwhile
"""
