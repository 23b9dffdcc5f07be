"""Arrays as bounded async streams; a file a stream.

- `frame`: one frame of one camera, what streams give
- `frames`: one camera, decoded ahead on all cores
- `pointclouds`: a sequence's, read ahead; `ordered_budget`: within so many bytes, in order
- `multi_view`: many cameras in lock-step under one memory budget
    - `multi_view_frame`: all cameras at one timestep, what that stream gives
    - `stream_memory`, `stream_videos`: what a stream takes and wants, undecoded
    - `video_lane`, `lock_step`: one video in short units of work, blocking; several, async
- `shuffled`: every frame once an epoch in a mixed order, at close to sequential speed
    - `shuffle_layout`, `shuffle_plan`, `shuffle_memory`, `shuffle_state`: the order, undecoded
    - `shuffled_lane`, `shuffled_reader`, `shuffled_epochs`: decoding in that order, blocking
- `frame_cache`: random frames in milliseconds, from memory, disk, or the video; blocking
    - `kept_frames`: encoded, on disk and in memory
    - `known_videos`, `idle_readers`: what it knows of videos, and keeps open of them
- `torch`, `torch_samples`: PyTorch datasets (optional extra)
- `reader_pool`: single frames with videos that stay open between two calls, blocking
"""
