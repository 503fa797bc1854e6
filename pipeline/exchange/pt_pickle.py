"""The pickle of a graph, read without an unpickler.

A pickle is a program. Here the instructions that circuit-tracer 0.5.0's ``Graph.to_pt`` leads
to, and no others, become plain values. The name of a function or class is compared with the
few that stand there, and never looked up; every number is checked for what it may claim.
"""

import math
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

from pipeline.exchange.pt_archive import RefusedError, shown

_DAMAGED: Final = "it is damaged; copy or download it again"
_SAVE_AGAIN: Final = (
    "and a graph of circuit-tracer 0.5 is tensors, numbers and texts alone; "
    "if you trust its author, let them save it again with that version"
)


@dataclass(frozen=True, kw_only=True)
class StoredNumbers:
    """Where a tensor's numbers lie: all of one record.

    Attributes
    ----------
    key
        Of the record.
    dtype
        Of each number.
    n_elements
        How many the record is said to hold.
    """

    key: str
    dtype: torch.dtype
    n_elements: int


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor as a file describes it; within its numbers, and no more than they are.

    Attributes
    ----------
    numbers
        What it is cut out of.
    offset, size, stride
        As torch counts them, in elements.
    """

    numbers: StoredNumbers
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Name(Enum):
    """Functions and classes that a graph's pickle names."""

    TENSOR = "torch._utils._rebuild_tensor_v2"
    NO_HOOKS = "collections.OrderedDict"
    TARGET = "circuit_tracer.attribution.targets.LogitTarget"
    CONFIG = "circuit_tracer.utils.tl_nnsight_mapping.UnifiedConfig"
    FLOAT = "torch.FloatStorage"
    HALF = "torch.HalfStorage"
    BFLOAT16 = "torch.BFloat16Storage"
    LONG = "torch.LongStorage"


_STORAGES: Final = {
    _Name.FLOAT: torch.float32,
    _Name.HALF: torch.float16,
    _Name.BFLOAT16: torch.bfloat16,
    _Name.LONG: torch.int64,
}
_GLOBALS: Final[Mapping[str, object]] = {
    **{name.value: name for name in _Name},
    **{str(dtype): dtype for dtype in (torch.float32, torch.float16, torch.bfloat16)},  # of a model
}
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MOST_DIMS: Final = 8


def read_pickle(content: bytes) -> Any:
    """What a graph's pickle says.

    Returns
    -------
    Any
        Texts, numbers, tuples, lists, dicts with texts for keys, `LogitTarget`,
        `UnifiedConfig`, torch dtypes and `StoredTensor`, in any order that the file likes.

    Raises
    ------
    RefusedError
        It is damaged, or has anything that circuit-tracer does not write.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(content):
            machine.step(instruction.name, argument)
        return machine.result()
    except RefusedError:
        raise
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise RefusedError(_DAMAGED) from error


class _Machine:
    """The stack and the memo that a pickle's instructions work on."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        """What is left at the end: one value."""
        (value,) = self._stack
        if self._below:
            raise RefusedError(_DAMAGED)
        return value

    def step(self, name: str, argument: Any) -> None:
        """Do what one instruction says."""
        stack = self._stack
        match name:
            case "PROTO" | "STOP":
                return
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                stack.append(_CONSTANTS[name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(_number(argument))
            case "BINUNICODE":
                stack.append(argument)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                at = len(stack) - _TUPLES[name]
                _require(at >= 0)
                stack[at:] = [tuple(stack[at:])]
            case "TUPLE":
                items = self._since_mark()
                self._stack.append(tuple(items))
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "APPEND":
                item = stack.pop()
                _extend(stack[-1], [item])
            case "APPENDS":
                items = self._since_mark()
                _extend(self._stack[-1], items)
            case "SETITEMS":
                items = self._since_mark()
                _set_items(self._stack[-1], items)
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_global(argument))
            case "BINPERSID":
                stack.append(_numbers(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_called(stack.pop(), arguments))
            case "NEWOBJ":
                arguments = stack.pop()
                stack.append(_made(stack.pop(), arguments))
            case "BUILD":
                state = stack.pop()
                _configure(stack[-1], state)
            case _:
                raise RefusedError(f"it has the instruction {name}, {_SAVE_AGAIN}")

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items


def _number(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise RefusedError("it has a number of more than 64 bits")
    return value


def _global(argument: str) -> object:
    name = argument.replace(" ", ".", 1)
    if name not in _GLOBALS:
        raise RefusedError(f"it holds `{shown(name)}`, {_SAVE_AGAIN}")
    return _GLOBALS[name]


def _extend(target: Any, items: list[Any]) -> None:
    _require(type(target) is list)
    target.extend(items)


def _set_items(target: Any, items: list[Any]) -> None:
    keys = items[::2]
    _require(type(target) is dict and all(type(key) is str for key in keys))
    target.update(zip(keys, items[1::2], strict=True))


def _numbers(identity: Any) -> StoredNumbers:
    kind, storage, key, device, n_elements = identity
    _require(kind == "storage" and type(key) is str and type(device) is str and _is_count(n_elements))
    _require(type(storage) is _Name)  # hashing what a file nests might never end
    return StoredNumbers(key=key, dtype=_STORAGES[storage], n_elements=n_elements)


def _called(function: Any, arguments: Any) -> Any:
    if function is _Name.NO_HOOKS and arguments == ():
        return _Name.NO_HOOKS
    _require(function is _Name.TENSOR)
    # Whether gradients were wanted is not asked: what is read is numbers.
    numbers, offset, size, stride, _, hooks = arguments
    _require(isinstance(numbers, StoredNumbers) and hooks is _Name.NO_HOOKS and _is_count(offset))
    _require(type(size) is tuple and type(stride) is tuple and len(size) == len(stride) <= _MOST_DIMS)
    _require(all(map(_is_count, size + stride)))
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    n_elements = math.prod(size)
    # A few bytes can pose as a huge tensor by being read again and again.
    if n_elements > numbers.n_elements or (n_elements and last >= numbers.n_elements):
        raise RefusedError("a tensor in it claims more numbers than there are")
    return StoredTensor(numbers=numbers, offset=offset, size=size, stride=stride)


def _made(kind: Any, arguments: Any) -> Any:
    if kind is _Name.CONFIG and arguments == ():
        return UnifiedConfig.__new__(UnifiedConfig)
    _require(kind is _Name.TARGET)
    text, token = arguments
    return LogitTarget(token_str=text, vocab_idx=token)


def _configure(config: Any, state: Any) -> None:
    _require(type(config) is UnifiedConfig and type(state) is dict)
    vars(config).update(state)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _require(sound: bool) -> None:
    if not sound:
        raise RefusedError(_DAMAGED)
