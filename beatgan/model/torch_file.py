"""Torch's container read without torch: plain values and arrays, and nothing else.

A zip file with a pickle, and one record of raw numbers for each tensor. The pickle is not given to
Python's unpickler: its few operations that make plain values are carried out here, and any other is
refused, so nothing of a file is ever run. What is read is at most as large as the file: records
are not compressed, each is one tensor's, and a container belongs in one place.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import ArtifactError

LARGEST = 1 << 28  # bytes of a file: thirty times a teacher as published
DEEPEST = 32  # containers in one another
ZIP = b"PK\x03\x04"
PROTOCOL = b"\x80\x02"  # what a pickle of torch's begins with
STORAGES = {  # whose names a pickle may mention: raw numbers
    f"torch {name}Storage": np.dtype(kind)
    for name, kind in {
        "Float": "<f4", "Double": "<f8", "Long": "<i8", "Int": "<i4", "Short": "<i2",
    }.items()
}  # fmt: skip
TENSOR, ORDERED = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
CODE = "not a beatgan model: it holds pickled code; nothing of it was run"
# What the parts of a damaged file were seen to make the library and us raise.
DAMAGE = (
    zipfile.BadZipFile, struct.error, ValueError, LookupError, TypeError, EOFError, OSError,
    NotImplementedError, RuntimeError, OverflowError, MemoryError,
)  # fmt: skip


class Global(str):
    """The name of one of the functions and types that a pickle may mention."""

    __slots__ = ()


class Storage(tuple[Global, str, int]):
    """What a tensor's numbers are: their type, the name of their record, how many."""

    __slots__ = ()


MARK = Global("(")


def read(file: IO[bytes]) -> Any:
    """The plain values in ``file``, its tensors as read-only arrays.

    Raises ArtifactError if it is none of torch's containers, is damaged, or holds anything else.
    """
    content = file.read(LARGEST + 1)
    if not content:
        raise ArtifactError("not a beatgan model: the file is empty")
    if not content.startswith(ZIP):
        raise ArtifactError("not a beatgan model (a bare pickle, for one, is never opened)")
    if len(content) > LARGEST:
        raise ArtifactError(f"not a beatgan model: it is larger than {LARGEST >> 20} MiB")
    try:
        records = _records(content)
        if records.pop("byteorder", b"little") != b"little":
            raise ValueError("its numbers are not little-endian")
        return _checked(Reader(records).run(records.pop("data.pkl")), 0)
    except DAMAGE as error:
        raise ArtifactError(f"damaged: {str(error)[:200]}") from error


def _records(content: bytes) -> dict[str, bytes]:
    """The records of a zip file by name, without the folder in which all of them lie."""
    found: dict[str, bytes] = {}
    left = len(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            name = entry.filename.partition("/")[2]
            left -= entry.file_size
            if entry.compress_type != zipfile.ZIP_STORED or left < 0 or name in found:
                raise ValueError(f"record {name!r} is compressed, too large or there twice")
            found[name] = archive.read(entry)
    return found


def _checked(value: Any, depth: int) -> Any:
    """``value``, once it is plain values not too deep in one another."""
    if depth > DEEPEST:
        raise ValueError("values lie too deep in one another")
    if isinstance(value, dict):
        for each in value.values():
            _checked(each, depth + 1)
    elif isinstance(value, list | tuple) and not isinstance(value, Storage):
        for each in value:
            _checked(each, depth + 1)
    elif isinstance(value, Global | Storage):
        raise TypeError("a value is not plain")
    return value


class Reader:
    """One pickle of torch's, read operation by operation."""

    def __init__(self, records: Mapping[str, bytes]) -> None:
        """``records``: the numbers of the tensors by name, each of which is used once."""
        self._records = dict(records)
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._pickle, self._place = b"", 0

    def run(self, pickle: bytes) -> Any:
        """The value that ``pickle`` makes; raises ArtifactError or one of DAMAGE."""
        if not pickle.startswith(PROTOCOL):
            raise ValueError("no pickle of protocol 2")
        self._pickle, self._place = pickle, len(PROTOCOL)
        while (code := self._take(1)) != b".":
            if code not in OPERATIONS:
                raise ArtifactError(CODE)
            OPERATIONS[code](self)
        (value,) = self._stack
        return value

    def _take(self, count: int) -> bytes:
        start = self._place
        self._place += count
        if self._place > len(self._pickle):
            raise EOFError("the pickle has no end")
        return self._pickle[start : self._place]

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return value

    def _line(self) -> str:
        end = self._pickle.index(b"\n", self._place)
        line = self._pickle[self._place : end]
        self._place = end + 1
        return line.decode()

    def push(self, value: Any) -> None:
        """Put ``value`` on the stack."""
        self._stack.append(value)

    def number(self, form: str) -> None:
        """A number stored as struct's ``form``."""
        self.push(self._number(form))

    def long(self) -> None:
        """A whole number of any size."""
        self.push(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def text(self) -> None:
        """A string."""
        self.push(self._take(self._number("<I")).decode("utf-8", "surrogatepass"))

    def mention(self) -> None:
        """A function or type, by its name."""
        name = Global(f"{self._line()} {self._line()}")
        if name not in STORAGES and name not in (TENSOR, ORDERED):
            raise ArtifactError(CODE)
        self.push(name)

    def put(self, form: str) -> None:
        """Remember what is on top."""
        self._memo[self._number(form)] = self._stack[-1]

    def get(self, form: str) -> None:
        """What was remembered: no container, so that none is in two places, or in itself."""
        value = self._memo[self._number(form)]
        if not isinstance(value, str):
            raise TypeError("a container is in two places")
        self.push(value)

    def _marked(self) -> list[Any]:
        """All above the latest mark, which goes."""
        place = len(self._stack) - 1
        while self._stack[place] is not MARK:
            place -= 1
            if place < 0:
                raise LookupError("no mark")
        found = self._stack[place + 1 :]
        del self._stack[place:]
        return found

    def enclose(self, count: int | None = None) -> None:
        """A tuple of the ``count`` values on top, or of those above the mark."""
        if count is None:
            self.push(tuple(self._marked()))
            return
        values = [self._stack.pop() for _ in range(count)]
        self.push(tuple(values[::-1]))

    def append(self, values: list[Any]) -> None:
        """Add ``values`` to the list on top."""
        top = self._stack[-1]
        if not isinstance(top, list):
            raise TypeError("appends to what is no list")
        top += values

    def fill(self, values: list[Any]) -> None:
        """Add ``values``, keys and what they stand for in turn, to the dictionary on top."""
        top = self._stack[-1]
        if not isinstance(top, dict) or len(values) % 2:
            raise TypeError("sets an item of what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str:
                raise TypeError("a key is no text")
            top[key] = value

    def storage(self) -> None:
        """The reference to a record of numbers."""
        match self._stack.pop():
            case ("storage", Global() as kind, str() as name, str(), int() as count):
                self.push(Storage((kind, name, count)))
            case _:
                raise TypeError("no reference to a record")

    def call(self) -> None:
        """One of the two functions: a tensor of its storage, or an empty ordered dictionary."""
        arguments, function = self._stack.pop(), self._stack.pop()
        match function, arguments:
            case Global(), () if function == ORDERED:
                self.push({})
            case Global(), (Storage() as storage, int(), tuple(), tuple(), False, {}) if (
                function == TENSOR
            ):
                self.push(self._tensor(storage, *arguments[1:4]))
            case _:
                raise TypeError("a call of what is no tensor")

    def _tensor(
        self, storage: Storage, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]
    ) -> NDArray[Any]:
        """The tensor of a storage that is no other's, all of it within."""
        kind, name, count = storage
        numbers = np.frombuffer(self._records.pop(f"data/{name}"), STORAGES[kind])
        sizes = (offset, *shape, *strides)
        if any(type(each) is not int or each < 0 for each in sizes) or len(shape) != len(strides):
            raise ValueError(f"record {name}: no shape of a tensor")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        elements = 1
        for each in shape:
            elements *= each
        if numbers.size != count or elements > count or (elements and last >= count):
            raise ValueError(f"record {name}: a tensor is not within it")
        if not elements:
            return np.empty(shape, numbers.dtype)
        apart = [step * numbers.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(numbers[offset:], shape, apart, writeable=False)


def _pop_into(method: Callable[[Reader, list[Any]], None], count: int) -> Callable[[Reader], None]:
    """``method`` of the ``count`` values on top."""

    def operation(reader: Reader) -> None:
        values = [reader._stack.pop() for _ in range(count)]
        method(reader, values[::-1])

    return operation


# The operations of pickle's protocol 2 that make plain values; see Python's pickletools.
OPERATIONS: Mapping[bytes, Callable[[Reader], None]] = {
    b"N": lambda r: r.push(None),
    b"\x88": lambda r: r.push(True),
    b"\x89": lambda r: r.push(False),
    b"J": lambda r: r.number("<i"),
    b"K": lambda r: r.number("<B"),
    b"M": lambda r: r.number("<H"),
    b"\x8a": Reader.long,
    b"G": lambda r: r.number(">d"),
    b"X": Reader.text,
    b"c": Reader.mention,
    b"q": lambda r: r.put("<B"),
    b"r": lambda r: r.put("<I"),
    b"h": lambda r: r.get("<B"),
    b"j": lambda r: r.get("<I"),
    b"(": lambda r: r.push(MARK),
    b")": lambda r: r.push(()),
    b"\x85": lambda r: r.enclose(1),
    b"\x86": lambda r: r.enclose(2),
    b"\x87": lambda r: r.enclose(3),
    b"t": Reader.enclose,
    b"]": lambda r: r.push([]),
    b"a": _pop_into(Reader.append, 1),
    b"e": lambda r: r.append(r._marked()),
    b"}": lambda r: r.push({}),
    b"s": _pop_into(Reader.fill, 2),
    b"u": lambda r: r.fill(r._marked()),
    b"Q": Reader.storage,
    b"R": Reader.call,
}
