"""Collectives of a compiled program: kind, bytes and groups, parsed from its HLO text.

The text is that of `jax.jit(f).lower(...).compile().as_text()`, or of `jax.pmap`. A pair of
`-start` and `-done` is one collective; one inside a loop counts once for each iteration, where the
text has the trip count.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)
_COMMENT = re.compile(r"/\*.*?\*/")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?[\w.-]+ = ")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*\{$")
_CALLS = re.compile(
    r"\b(body|condition|calls|to_apply|true_computation|false_computation|branch_computations)="
    r"(\{[^}]*\}|%?[\w.-]+)"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_ARRAY = re.compile(r"\b([a-z]\w*)\[([\d,<=?]*)\]")
Row = dict[str, int | float]
_GROUPS = re.compile(r"(?:replica_groups|source_target_pairs)=(mesh\[.*?\]\s*\{.*?\}|\S+)")


@dataclasses.dataclass(frozen=True)
class Buffer:
    """One output array of a collective on each device.

    Attributes:
        dtype: HLO's name of it: f32, bf16, s32, pred.
        shape: of a device's part.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes, those of less than eight bits packed."""
        bits = re.search(r"\d+", self.dtype)
        width = int(bits[0]) if bits else 8 * (self.dtype == "pred")
        return -(-self.size * width // 8)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective of a program.

    Attributes:
        kind: one of `KINDS`.
        buffers: its outputs on each device; several where XLA combined several collectives.
        groups: the devices that take part, as written in the text.
        group_size: devices in a group; 0: all of the program's.
        times: how often it runs in the program, 1 in a loop of unknown length.
    """

    kind: str
    buffers: tuple[Buffer, ...]
    groups: str
    group_size: int
    times: int = 1

    @property
    def bytes(self) -> int:
        """Bytes of its outputs on each device."""
        return sum(buffer.bytes for buffer in self.buffers)

    @property
    def combined(self) -> bool:
        """Whether XLA combined several collectives in it."""
        return len(self.buffers) > 1

    def sent(self, devices: int = 0) -> int | float:
        """Return the bytes that each device sends if the devices of a group form a ring.

        Args:
            devices: of the program, for a collective whose groups are not written out.
        """
        n = self.group_size or devices
        factors = {"all-reduce": 2 * (n - 1) / n, "reduce-scatter": n - 1} if n else {}
        if self.kind in ("collective-permute", "collective-broadcast"):
            return self.bytes
        return self.bytes * factors.get(self.kind, (n - 1) / n if n else 0)


def read(hlo: str) -> list[Collective]:
    """Return the collectives of a program in the order of its text.

    Args:
        hlo: text of a compiled program.
    """
    found = []
    times, inside = _times(hlo), ""
    for line in hlo.splitlines():
        header = _COMPUTATION.match(line)
        inside = header[1] if header else inside
        match = _INSTRUCTION.match(line)
        if not match:
            continue
        text = _COMMENT.sub("", line[match.end() :])
        kind, operands = _split(text)
        name = kind.removesuffix("-start")
        if name not in KINDS:
            continue
        groups = _GROUPS.search(operands)
        written = groups[1].rstrip(",") if groups else ""
        # A start's type holds the operands too, but for all-reduce.
        type_ = text[: len(text) - len(operands) - len(kind)].strip()
        if name not in (kind, "all-reduce"):
            type_ = _elements(type_)[1]
        size = _group_size(written)
        found.append(Collective(name, _buffers(type_), written, size, times.get(inside, 1)))
    return found


def summarize(collectives: Iterable[Collective], devices: int = 0) -> dict[str, Row]:
    """Return for each kind its `count`, the `arrays` in them, their `bytes` and those `sent`."""
    table: dict[str, Row] = {}
    for one in collectives:
        row = table.setdefault(one.kind, {"count": 0, "arrays": 0, "bytes": 0, "sent": 0})
        row["count"] += one.times
        row["arrays"] += one.times * len(one.buffers)
        row["bytes"] += one.times * one.bytes
        row["sent"] += one.times * one.sent(devices)
    return table


def attribute(
    collectives: Iterable[Collective], arrays: Mapping[str, Sequence[Buffer]]
) -> dict[str, int]:
    """Return the exchanged bytes of each named set of arrays, the others under "other".

    Buffers are matched by type and number of elements (XLA transposes them freely), each array
    once, names in their order. Where two sets have arrays of one size, the totals are still right
    if all of both are exchanged.
    """
    waiting: Counter[tuple[str, int]] = Counter()
    nbytes = {}
    for one in collectives:
        for buffer in one.buffers:
            waiting[buffer.dtype, buffer.size] += one.times
            nbytes[buffer.dtype, buffer.size] = buffer.bytes
    found = dict.fromkeys(arrays, 0)
    for name, buffers in arrays.items():
        for buffer in buffers:
            key = (buffer.dtype, buffer.size)
            if waiting[key]:
                waiting[key] -= 1
                found[name] += buffer.bytes
    return {**found, "other": sum(nbytes[key] * count for key, count in waiting.items() if count)}


def _times(hlo: str) -> dict[str, int]:
    """Return how often each computation of a program runs."""
    callers: dict[str, list[tuple[str, int]]] = {}
    inside = ""
    for line in hlo.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            inside = header[1]
            callers.setdefault(inside, [])
            continue
        for attribute, names in _CALLS.findall(line):
            trips = _TRIPS.search(line) if attribute == "body" else None
            for name in re.findall(r"[\w.-]+", names):
                callers.setdefault(name, []).append((inside, int(trips[1]) if trips else 1))
    known: dict[str, int] = {}

    def times(name: str) -> int:
        if name not in known:
            known[name] = sum(trips * times(caller) for caller, trips in callers.get(name, []))
            # The entry computation has no caller and runs once.
            known[name] = known[name] or 1
        return known[name]

    return {name: times(name) for name in callers}


def _split(text: str) -> tuple[str, str]:
    """Split `type opcode(operands), attributes` into the opcode and what follows it."""
    rest = text[_end_of_type(text) :].lstrip()
    opcode = rest.partition("(")[0]
    return opcode, rest[len(opcode) :]


def _end_of_type(text: str) -> int:
    if not text.startswith("("):
        return text.find(" ")
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return at + 1
    return len(text)


def _elements(type_: str) -> list[str]:
    """Return the elements of a tuple type; of any other type, itself twice."""
    if not type_.startswith("("):
        return [type_, type_]
    parts, depth, start = [], 0, 1
    for at, character in enumerate(type_):
        depth += (character in "([{") - (character in ")]}")
        if (character == "," and depth == 1) or depth == 0:
            parts.append(type_[start:at].strip())
            start = at + 1
    return parts


def _buffers(type_: str) -> tuple[Buffer, ...]:
    def number(text: str) -> int:
        return int(re.sub(r"\D", "", text) or 0)

    return tuple(
        Buffer(dtype, tuple(number(n) for n in dims.split(",") if n))
        for dtype, dims in _ARRAY.findall(type_)
        if dtype != "token"
    )


def _group_size(groups: str) -> int:
    """Return the devices in a group, from any of the three notations of HLO."""
    if groups.startswith("mesh["):
        mesh, _, axes = groups.partition("]")
        sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", mesh)}
        named = re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", axes)
        return math.prod(int(part) if part else sizes[name] for name, part in named)
    if groups.startswith("["):
        return int(re.findall(r"\d+", groups)[1])
    first = re.match(r"\{\{([\d,\s]*)\}", groups)
    return len(first[1].split(",")) if first and first[1] else 0
