"""What a submission zip holds, as arrays, under the official names.

- `readers`: awaited; `blocking_readers`: the same for code without an event loop, from
  `video_readers` and `mesh_reader` over `reader_base`
- `video_frames`: a video as an async stream; `entry_video`: its frames one at a time
- `official_methods`: what is answered from the benchmark alone
"""
