"""What the demo shows, step by step; later steps find in `Demo` what earlier ones made."""

from __future__ import annotations

from nersemble_async.cli.demo_fetch_steps import (
    fetch_and_kill,
    go_on,
    look_at_what_is_left,
    make_stand_in,
    verify,
)
from nersemble_async.cli.demo_load_steps import (
    draw_sheets,
    load_geometry,
    load_random_frames,
    shuffle,
    stream_cameras,
)
from nersemble_async.cli.demo_stage import Step
from nersemble_async.cli.demo_submit_steps import (
    preview,
    submit_and_kill,
    submit_the_rest,
    validate,
    validate_broken,
)

STEPS = (
    Step("Make a small stand-in of the benchmark and serve it", make_stand_in),
    Step("Fetch it, and pull the plug midway", fetch_and_kill),
    Step("Look at what is left", look_at_what_is_left),
    Step("Fetch again: it goes on where it stopped", go_on),
    Step("Verify", verify),
    Step("Stream all cameras of a sequence in lock-step", stream_cameras),
    Step("Load random images, from the videos and from the frame cache", load_random_frames),
    Step("Shuffle all images of a sequence", shuffle),
    Step("Load pointclouds and FLAME heads", load_geometry),
    Step("Look at what was fetched", draw_sheets),
    Step("Write an NVS submission of the stand-in, and pull the plug midway", submit_and_kill),
    Step("Write it again: it goes on where it stopped", submit_the_rest),
    Step("Validate it", validate),
    Step("Break it, and see whether that is found", validate_broken),
    Step("Look at what is submitted", preview),
)
