"""Videos: what an mp4 says of itself, its frames by an index, and encoding.

- `probe`, `facts`: what an mp4 says of itself; `mp4_boxes`, `mp4_samples`: whether it is whole
- `index`: where every frame lies; `packet_plan`: what a decoder has to see; `reader`: exact frames
- `decoded_frame`, `frame_format`: frames as arrays; `small_pictures`: a few kilobytes of each
- `source`: path and index, as loaders are given them; `frame_codec`: one frame without loss
- `any_video`: frames of whatever FFmpeg reads, in order
- `encoder`: mp4 frame by frame, over `rgb_conversion`
"""
