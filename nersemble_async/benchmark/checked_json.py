"""JSON bytes → a pydantic model; any problem is a MetadataError that names file and field."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from nersemble_async.errors import MetadataError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHOWN_PROBLEMS = 5
_SHOWN_KEY_LENGTH = 60
_KEY_ITSELF = "[key]"
"""What pydantic appends to the location of a key that is refused."""
_MESSAGES = MappingProxyType(
    {
        "missing": "is missing",
        "tuple_type": "should be a list",
        "too_long": "has too many items",
        "dict_type": "should be an object",
        "model_type": "should be an object",
    }
)
"""For problems whose pydantic message speaks of Python, not of JSON."""

_ModelT = TypeVar("_ModelT", bound=BaseModel)


def parse_json(model: type[_ModelT], data: bytes, source: str) -> _ModelT:
    """``data`` as ``model``, from JSON without NaN, Infinity or a key twice in one object.

    Args:
        model: what the content has to be.
        data: the file's bytes.
        source: the file's name for messages, such as its path relative to the root.

    Raises:
        MetadataError: it is no JSON or breaks the schema.
    """
    constants: list[str] = []

    def not_finite(name: str) -> float:
        # Let through at first, so that the schema can say in which field it stands.
        constants.append(name)
        return float(name)

    try:
        content = json.loads(data, parse_constant=not_finite, object_pairs_hook=_unique_keys)
        result = model.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{source}: not valid JSON: {error}") from None
    else:
        if constants:
            raise MetadataError(f"{source}: not valid JSON: {constants[0]} is not a number in JSON")
        return result
    shown = [_describe(problem) for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    raise MetadataError(f"{source}: {'; '.join(shown)}")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:_SHOWN_KEY_LENGTH]!r} stands twice in one object")
    return result


def _describe(problem: ErrorDetails) -> str:
    """``sequences.388.timesteps[3]: should be a valid integer``: pydantic's words, in JSON's."""
    path = ""
    for part in problem["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != _KEY_ITSELF:
            path += f".{part[:_SHOWN_KEY_LENGTH]}"
    message = _MESSAGES.get(problem["type"])
    if message is None:
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{path.removeprefix('.') or 'the whole file'}: {message}"
