"""What exists: pure data, no I/O.

- `keys`: what a sequence, a video, a frame, an image is called
- `layout`: the vocabulary that a benchmark is described with
- `nvs`, `mono_flame_avatar`, `svfr`: the three benchmarks, as data
- `spec`: all of them in `BENCHMARKS`
- `metadata`: pydantic models of metadata.json and camera_params.json, read by `checked_json`
"""
