"""Random FLAME trackings, and pickles as Python 2 wrote them."""

from __future__ import annotations

import io
import pickle
import sys
import types
from typing import Any, ClassVar

import numpy as np

from nersemble_async.formats.flame.tracking import FlameTracking


def random_tracking(n_frames: int, seed: int = 0) -> FlameTracking:
    """Float32, turned and moved enough to tell apart every convention."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int, scale: float = 0.3) -> np.ndarray[Any, np.dtype[np.float32]]:
        return (rng.normal(size=shape) * scale).astype(np.float32)

    return FlameTracking(
        shape=numbers(1, 300, scale=1),
        expression=numbers(n_frames, 100, scale=1),
        rotation=numbers(n_frames, 3),
        rotation_matrices=numbers(n_frames, 3, 3),
        translation=numbers(n_frames, 3),
        jaw=numbers(n_frames, 3),
        frames=np.arange(n_frames),
        scale=np.array([[1.25]], np.float32),
        neck=numbers(n_frames, 3, scale=0.6),
        eyes=numbers(n_frames, 6),
    )


class Ch:
    """Stands for chumpy's array; its pickle is the same but for attributes that do not matter."""

    def __init__(self, **state: object) -> None:
        self.__dict__.update(state)


class Select(Ch):
    """Stands for chumpy.reordering's."""


def pretend_chumpy(monkeypatch: Any) -> None:
    """Let pickles of `Ch` and `Select` name chumpy's modules while they are written."""
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    for module, owned in (("chumpy.ch", Ch), ("chumpy.reordering", Select)):
        fake = types.ModuleType(module)
        setattr(fake, owned.__name__, owned)
        monkeypatch.setitem(sys.modules, module, fake)
        monkeypatch.setattr(owned, "__module__", module)


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 did: as its ``str``."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_bytes(self: Any, data: bytes) -> None:
        if not self.bin:
            self.write(b"S" + repr(data)[1:].encode("ascii") + b"\n")
        else:
            self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(data)

    dispatch[bytes] = save_bytes


def dumps_like_python_2(value: object, protocol: int) -> bytes:
    """With NumPy 1's and Python 2's module names, protocol 0 to 2."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol, fix_imports=True).dump(value)
    return stream.getvalue().replace(b"cnumpy._core", b"cnumpy.core")
