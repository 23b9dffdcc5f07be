"""Gives torch tensors as frames and tells what came of it: JSON out; no test of its own."""

from __future__ import annotations

import json
import sys

import torch  # type: ignore[import-not-found, unused-ignore]

from nersemble_async.errors import InvalidPredictionError
from nersemble_async.submission.writing.predictions import rgb_image

SIZE = (4, 6)


def told(tensor: object, *, from_float: bool) -> str | None:
    try:
        rgb_image(tensor, SIZE, from_float=from_float)
    except InvalidPredictionError as error:
        return str(error)
    return None


frame = torch.arange(72, dtype=torch.float32).reshape(6, 4, 3).div(255).requires_grad_()
sys.stdout.write(
    json.dumps(
        {
            "float": rgb_image(frame, SIZE, from_float=True).tolist(),
            "half": rgb_image(frame.bfloat16(), SIZE, from_float=True).dtype.name,
            "unsaid": told(frame, from_float=False),
            "uint8": told(frame.mul(255).byte(), from_float=True),
            "unsaid uint8": told(frame.mul(255).byte(), from_float=False),
            "channels first": told(frame.permute(2, 0, 1), from_float=True),
        }
    )
)
