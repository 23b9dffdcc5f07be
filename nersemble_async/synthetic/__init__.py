"""A small, geometrically consistent stand-in for the licensed data.

- `dataset`: `synthesize` writes it; `scale`: how large; `tiny_layout`: all paths, no pictures;
  `metadata_files`: what its metadata.json files say
- `scene`: a person moving, from `people` (who), `motion` (how), `anatomy`, `ellipsoids` and
  `head_shape` (geometry), `head_texture`, `face_texture` and `canvas` (paint), `lighting`
- `renderer`, `point_sampler`, over `ray_marching`: pictures and pointclouds; `rig`: the cameras
- `flame_model`, `flame_landmarks`: a licence-free FLAME model with the stand-in's head
- `server`: serves a folder on loopback
"""
