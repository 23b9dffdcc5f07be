"""Pickles taken apart, protocols 0 to 5: what they say is kept as inert values, nothing is called.

`pickle.Unpickler` with a strict ``find_class`` still calls what it lets through with whatever
arguments the file gives, sets attributes of it, and fills 64 GB of memo for eight hostile bytes.
Here a class or a function is a `Symbol`, a call of one is a `Made`, and neither is ever looked up.

Source of the opcodes and their arguments: https://docs.python.org/3/library/pickletools.html
"""

from __future__ import annotations

import codecs
import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MAX_OPCODES = 200_000
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_STRING = b"S"
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = frozenset({"PROTO", "FRAME"})
_LITERALS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_KEY_TYPES = (str, bytes, int, float, type(None))


@dataclass(frozen=True, slots=True)
class Symbol:
    """A class or function that a pickle names; only its name is known here."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"[:120]


@dataclass(slots=True, eq=False, repr=False)
class Made:
    """What loading would have made by calling a symbol."""

    symbol: Symbol
    arguments: tuple[object, ...]
    state: object = None
    """What loading would have set as its state."""


IsAllowed = Callable[[Symbol], bool]


def take_apart(data: bytes, is_allowed: IsAllowed) -> object:
    """The value that a pickle describes, of None, bool, int, float, str, bytes, list, tuple, dict,
    `Symbol` and `Made` alone; sets come as lists, Python 2's strings as Latin-1.

    A value may contain one object many times over, or itself: whoever walks it bounds the depth.

    Args:
        data: the whole pickle; what follows its end is ignored.
        is_allowed: which symbols it may name.

    Raises:
        ValueError: no pickle, cut short, unreasonably long, or with a symbol or an operation that
            is not allowed; one line.
    """  # noqa: D205 -- a list of types has no shorter name
    machine = _Machine(is_allowed)
    try:
        return machine.run(io.BytesIO(data))
    except (IndexError, KeyError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"a broken pickle ({type(error).__name__})") from None


class _Machine:
    """The stack and the memo. Each method named like an opcode does what that stands for."""

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, object] = {}

    def run(self, stream: io.BytesIO) -> object:
        for _ in range(_MAX_OPCODES):
            code = stream.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"no pickle: unknown operation {code!r}")
            name = opcode.name
            argument: Any = None
            if code == _STRING:
                argument = _read_string(stream)
            elif opcode.arg is not None:
                argument = opcode.arg.reader(stream)
            if name == "STOP":
                return self._stack.pop()
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name not in _IGNORED:
                operation = getattr(self, f"_{name.lower()}", None)
                if operation is None:
                    raise ValueError(f"the pickle uses {name}, which no FLAME file needs")
                operation(argument)
        raise ValueError(f"a pickle of more than {_MAX_OPCODES} operations")

    # Stack and memo.

    def _mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _items(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._items()

    def _pop_mark(self, _: None) -> None:
        self._items()

    def _dup(self, _: None) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: None) -> None:
        self._put(len(self._memo))

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _binget = _long_binget = _get

    # Containers.

    def _empty_list(self, _: None) -> None:
        self._stack.append([])

    _empty_set = _empty_list

    def _list(self, _: None) -> None:
        items = self._items()
        self._stack.append(items)

    _frozenset = _list

    def _append(self, _: None) -> None:
        item = self._stack.pop()
        self._grow([item])

    def _appends(self, _: None) -> None:
        items = self._items()
        self._grow(items)

    _additems = _appends

    def _grow(self, items: list[Any]) -> None:
        grown = self._stack[-1]
        if not isinstance(grown, list):
            raise TypeError
        grown.extend(items)

    def _empty_tuple(self, _: None) -> None:
        self._stack.append(())

    def _tuple(self, _: None) -> None:
        items = self._items()
        self._stack.append(tuple(items))

    def _tuple1(self, _: None) -> None:
        self._take_tuple(1)

    def _tuple2(self, _: None) -> None:
        self._take_tuple(2)

    def _tuple3(self, _: None) -> None:
        self._take_tuple(3)

    def _take_tuple(self, length: int) -> None:
        if len(self._stack) < length:
            raise IndexError
        items = tuple(self._stack[-length:])
        self._stack[-length:] = [items]

    def _empty_dict(self, _: None) -> None:
        self._stack.append({})

    def _dict(self, _: None) -> None:
        items = self._items()
        self._stack.append({})
        self._set(items)

    def _setitem(self, _: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _setitems(self, _: None) -> None:
        items = self._items()
        self._set(items)

    def _set(self, items: list[Any]) -> None:
        target, keys = self._stack[-1], items[::2]
        # Nothing else is hashed: a tuple that holds itself over and over takes for ever.
        if not isinstance(target, dict) or not all(isinstance(key, _KEY_TYPES) for key in keys):
            raise TypeError
        target.update(zip(keys, items[1::2], strict=True))

    # What would run code.

    def _global(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        self._name(module, name)

    def _stack_global(self, _: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError
        symbol = Symbol(module, name)
        if not self._is_allowed(symbol):
            raise ValueError(f"the pickle tries to load {symbol}, which no FLAME file needs")
        self._stack.append(symbol)

    def _reduce(self, _: None) -> None:
        arguments, symbol = self._stack.pop(), self._stack.pop()
        self._make(symbol, arguments)

    _newobj = _reduce

    def _newobj_ex(self, _: None) -> None:
        self._stack.pop()
        self._reduce(None)

    def _inst(self, module_and_name: str) -> None:
        arguments = self._items()
        self._global(module_and_name)
        self._make(self._stack.pop(), tuple(arguments))

    def _obj(self, _: None) -> None:
        symbol, *arguments = self._items()
        self._make(symbol, tuple(arguments))

    def _make(self, symbol: object, arguments: object) -> None:
        if not isinstance(symbol, Symbol) or not isinstance(arguments, tuple):
            raise TypeError
        self._stack.append(Made(symbol, arguments))

    def _build(self, _: None) -> None:
        state, made = self._stack.pop(), self._stack[-1]
        if not isinstance(made, Made):
            raise TypeError
        made.state = state


def _read_string(stream: io.BytesIO) -> str:
    """Protocol 0's string: pickletools takes it for ASCII, Python 2 wrote arrays as such."""
    line = stream.readline()
    quote = line[:1]
    if quote not in (b"'", b'"') or line[-2:] != quote + b"\n":
        raise ValueError("a broken pickle (string without quotes)")
    return codecs.escape_decode(line[1:-2])[0].decode("latin-1")
