"""Bytes ↔ arrays: plain blocking functions, no async.

- `video`, `image`, `mesh`, `pointcloud`, `flame`: a folder for each kind of data
- `cameras`: calibrations and the projection that they mean
- `content`: does a fetched file parse as what it should be, by light checks; standard library
  only. `npz_members` is that of npz files; the others lie in the folders of their kinds
- `inspection`: what is in a file of the dataset, in facts
- `freed_blocks`: memory used again; `array_summary`: what value types show of arrays
"""
