"""Bytes ↔ arrays: plain blocking functions, no async.

- `content`: does a file parse as what it should be (what the fetch calls)
- `mp4_boxes`, `mp4_samples`, `pcd_header`, `npz_members`, `png_chunks`: the light checks behind
  it, stdlib only
- `video`, `pointcloud`, `image`, `flame`, `cameras`: files as arrays and back
- `flame_provider`: a FLAME tracking's heads, from `flame_model` (the model's files, read with
  `flame_pickle` over `pickle_machine`) and `flame_skinning`; `flame_torch`: the same in torch
"""
