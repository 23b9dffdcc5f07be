"""Bytes ↔ arrays: plain blocking functions, no async.

- Videos: `video` (what an mp4 says of itself), `video_index` (where its frames lie),
  `packet_plan` (what a decoder has to see), `video_reader` (exact frames), `decoded_frame` and
  `frame_format` (frames as arrays), `video_source` (path and index), `video_encoder`,
  `frame_codec` (one frame without loss)
- Pointclouds: `pointcloud`, from `pcd_header`, `pcd_data`, `lzf_data`
- FLAME: `flame` (trackings), `flame_provider` (their heads), from `flame_model` (the model's
  files, read with `flame_pickle` over `pickle_machine`) and `flame_skinning`; `flame_torch`: the
  same in torch
- `cameras`, `image`, `mesh` (with `obj_text`); `freed_blocks`: memory used again
- `inspection`: what is in a file, in facts
- `content`: does a file parse as what it should be (what the fetch calls), from light checks that
  need the standard library only: `mp4_boxes`, `mp4_samples`, `pcd_header`, `npz_members`,
  `png_chunks`
"""
