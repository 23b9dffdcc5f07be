"""Every rule of the validator, by its stable id: how bad a breach is, and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nersemble_async.submission.issues import Severity, SubmissionIssue

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, slots=True)
class Rule:
    """What a submission has to keep to."""

    rule: str
    """Stable id."""
    severity: Severity
    title: str
    """What is wrong where it is broken, in a few words."""
    fix: str
    """What to do then."""


def _by_id(*rules: Rule) -> Mapping[str, Rule]:
    return MappingProxyType({rule.rule: rule for rule in rules})


_WRITE_ANEW = "write the video anew with the writer of this package, or `nersemble-async pack`"
_RENDER = "look at what your renderer wrote for this camera"

RULES: Mapping[str, Rule] = _by_id(
    # ---- the zip as a whole ---------------------------------------------------------------------
    Rule("not-a-zip", _ERROR, "the file is no zip, or is cut off", "write the zip anew"),
    Rule(
        "crc-error",
        _ERROR,
        "an entry's bytes are damaged",
        "write the zip anew; if it was copied, compare checksums of both copies",
    ),
    Rule(
        "unreadable-entry",
        _ERROR,
        "an entry cannot be read: encrypted, or compressed in an unusual way",
        "store entries without encryption, uncompressed or deflated",
    ),
    Rule(
        "too-large",
        _ERROR,
        "an entry is far larger than any prediction, or a decompression bomb",
        "take it out of the zip",
    ),
    Rule("missing-entry", _ERROR, "an entry is missing", "add the prediction for it"),
    Rule(
        "missing-subtask",
        _ERROR,
        "there is no mesh for any subtask",
        "add mesh_posed.ply, mesh_neutral.ply or both for each of the 391 images",
    ),
    Rule(
        "unexpected-entry",
        _ERROR,
        "an entry that no submission has",
        "take it out of the zip (a folder's own entry does no harm)",
    ),
    Rule(
        "leftover-entry",
        _WARNING,
        "a file that the system left in the zip; the official validator passes it over",
        "zip -d OUT.zip '__MACOSX/*' '*.DS_Store' '*Thumbs.db', or zip without them",
    ),
    Rule(
        "duplicate-entry",
        _ERROR,
        "an entry stands twice in the zip",
        "write the zip anew: which of the two is scored is not known",
    ),
    Rule(
        "misplaced-entry",
        _ERROR,
        "an entry lies in another folder than it has to",
        "zip the participants' folders themselves, not a folder around them",
    ),
    Rule(
        "unsafe-entry",
        _ERROR,
        "an entry's name leads out of the folder that it is unpacked into",
        "take it out of the zip",
    ),
    Rule(
        "wrong-padding",
        _ERROR,
        "a number in an entry's name has another count of digits than it has to",
        "participants and timesteps have at least three digits in a submission: 017, _078_",
    ),
    # ---- videos ---------------------------------------------------------------------------------
    Rule("unreadable-video", _ERROR, "the video is no mp4, or is cut off", _WRITE_ANEW),
    Rule("wrong-resolution", _ERROR, "the frames have another size", "render at the expected size"),
    Rule(
        "wrong-frame-count",
        _ERROR,
        "there are more or fewer frames than timesteps",
        "render each timestep that metadata.json lists, once, in order",
    ),
    Rule(
        "wrong-frame-rate",
        _ERROR,
        "the frames come at another rate",
        _WRITE_ANEW,
    ),
    Rule("wrong-codec", _ERROR, "the codec is not H.264", _WRITE_ANEW),
    Rule("wrong-pixel-format", _ERROR, "the pixels are not yuv420p", _WRITE_ANEW),
    Rule(
        "fragmented-video",
        _ERROR,
        "the mp4 is fragmented, and the official validator counts no frames in it",
        _WRITE_ANEW,
    ),
    Rule(
        "extra-streams",
        _WARNING,
        "the mp4 holds more than one stream: sound, or a second video",
        "keep the first video alone, as it is: ffmpeg -i IN.mp4 -map 0:v:0 -c copy OUT.mp4",
    ),
    Rule(
        "altered-display",
        _WARNING,
        "the file asks players to turn, mirror or stretch its frames; which readers do so differs",
        "store the frames as they are to be seen, with square pixels and no rotation",
    ),
    Rule("undecodable-video", _ERROR, "a frame cannot be decoded", _WRITE_ANEW),
    Rule("identical-videos", _WARNING, "two cameras have the same video", _RENDER),
    Rule("black-video", _WARNING, "the frames are black", _RENDER),
    Rule("constant-video", _WARNING, "each frame is of one colour", _RENDER),
    Rule("frozen-video", _WARNING, "all frames are the same", "render each timestep, not one"),
    Rule(
        "wrong-background",
        _WARNING,
        "the background is not white",
        "composite your renderings on white, as the dataset's images are",
    ),
    Rule(
        "swapped-cameras",
        _WARNING,
        "the video looks like that of another camera",
        "check which camera_params.json entry each video was rendered with",
    ),
    Rule(
        "altered-pictures",
        _WARNING,
        "the frames look mirrored, upside down, or with red and blue swapped",
        "cameras here are OpenCV's (x right, y down, z forward) and frames are RGB",
    ),
    # ---- meshes ---------------------------------------------------------------------------------
    Rule("unreadable-mesh", _ERROR, "the mesh does not parse", "write it as a binary PLY"),
    Rule("empty-mesh", _ERROR, "the mesh has no vertices or no faces", "write the mesh anew"),
    Rule("not-finite-mesh", _ERROR, "vertices are NaN or infinite", "write finite vertices"),
    Rule(
        "wrong-face-index",
        _ERROR,
        "faces refer to vertices that are not there",
        "indices count from 0 and stay below the number of vertices",
    ),
    Rule("ascii-mesh", _WARNING, "the mesh is an ASCII PLY", "write it as a binary PLY"),
    Rule(
        "missing-landmarks",
        _ERROR,
        "a mesh without FLAME's topology has no landmarks",
        "add the seven NoW landmarks, a 7x3 .npy beside the mesh",
    ),
    Rule(
        "merged-vertices",
        _ERROR,
        "readers that merge equal vertices see another topology than FLAME's",
        "give landmarks too, or keep FLAME's vertices distinct",
    ),
    Rule(
        "wrong-landmarks",
        _ERROR,
        "the landmarks are not seven finite points, or hold pickled objects",
        "np.save a (7, 3) float array: landmarks of the NoW convention, in its order",
    ),
    Rule(
        "far-landmarks",
        _WARNING,
        "a landmark is far from its mesh",
        "give landmarks in the coordinates of the mesh",
    ),
    Rule(
        "unusual-scale",
        _WARNING,
        "the mesh has the size of a head neither in metres nor in millimetres",
        "check its unit",
    ),
    Rule(
        "swapped-meshes",
        _WARNING,
        "the posed meshes look like neutral ones and the neutral ones like posed",
        "check which mesh goes where: neutral ones of a person are alike",
    ),
)
"""By id. Ids stay; severities only become milder."""


def breach(
    rule: str,
    entry: str | None,
    found: str,
    expected: str,
    *,
    fix: str | None = None,
    official: tuple[str, object] | None = None,
) -> SubmissionIssue:
    """An issue of that rule; ``fix`` where there is a better advice than the rule's own."""
    known = RULES[rule]
    return SubmissionIssue(rule, known.severity, entry, found, expected, fix or known.fix, official)
