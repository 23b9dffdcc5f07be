"""A submission from folders of pictures, videos or meshes.

- `sources`: which files become which entry; `near_misses`: which look misnamed or misplaced
- `checks`: whether they can be packed, and how; `picture_order`: which picture is which frame
- `pack`: decoded, encoded or copied into a writer
"""
