"""Arrays as bounded async streams: pointclouds read ahead; a file a stream.

- `frame`: one frame of one camera, what streams give
- `shuffled`: every frame once an epoch in a mixed order, at close to sequential speed
    - `shuffle_layout`, `shuffle_plan`, `shuffle_memory`, `shuffle_state`: the order, undecoded
    - `shuffled_lane`, `shuffled_reader`, `shuffled_epochs`: decoding in that order, blocking
- `torch`: PyTorch datasets (optional extra)
"""
