"""From columns to records: the entities of one kind in a range of organizations."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from typing import Any, Generic, TypeVar

import msgspec

from psrlib.arrays import IntArray
from psrlib.seed.columns import Rows

T = TypeVar("T")
Record = TypeVar("Record", bound=msgspec.Struct)


@dataclass(frozen=True)
class Entities(Generic[Record]):
    """The records of one kind, organization after organization, shape (n,)."""

    rows: Rows
    records: list[Record]

    def by_organization(self) -> list[list[Record]]:
        """Return the records of each organization."""
        return [self.records[start:stop] for start, stop in pairwise(self.rows.offsets.tolist())]


def build(kind: type[Record], key: str, rows: Rows, /, **columns: Iterable[Any]) -> Entities[Record]:
    """Return a record of a kind per entity, with keys that begin with ``key``.

    ``columns`` holds a value per entity for each other field, under the field's name; ``itertools.repeat``
    stands for one value of all.
    """
    others = [columns[field] for field in kind.__struct_fields__[1:]]
    return Entities(rows, list(map(kind, keys(key, rows), *others)))


def keys(kind: str, rows: Rows) -> list[str]:
    """Return the key of each entity: its kind and its number in the organization, from 1."""
    names = first_keys(kind, int(rows.counts.max(initial=0)))
    return list(chain.from_iterable(names[:count] for count in rows.counts.tolist()))


def first_keys(kind: str, n: int) -> list[str]:
    """Return the first ``n`` keys of a kind."""
    return [f"{kind}-{number:04d}" for number in range(1, n + 1)]


def neighbours(words: list[T], start: int, n: int, size: int) -> list[T]:
    """Return ``n`` neighbours among the first ``size`` words, from ``start`` on, each at most once.

    After the last word comes the first.

    Examples
    --------
    >>> neighbours(["a", "b", "c", "d"], 2, 2, 3)
    ['c', 'a']
    """
    stop = start + min(n, size)
    return words[start:stop] if stop <= size else words[start:size] + words[: stop - size]


def each_pair(make: Callable[[int, int], T], first: IntArray, second: IntArray) -> list[T]:
    """Return ``make(a, b)`` for each pair of numbers; equal pairs share what is made of them."""
    return list(map(cache(make), first.tolist(), second.tolist()))


def each(words: Sequence[T], places: Iterable[int]) -> list[T]:
    """Return the words at places."""
    return list(map(words.__getitem__, places))
