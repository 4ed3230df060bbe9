"""Random streams: raw bits from Philox, one stream per (random seed, organization, purpose).

The random seed and the purpose make the key, the organization gives the place of the 256-bit counter. So the
words of an organization depend neither on the number of organizations nor on how many words another
purpose takes (design.md, section 5). Raw bits are the same in every numpy version, processor and operating
system tried (measurements.md, section 2). Why draws are integers: docs/architecture.md.
"""

import hashlib
from typing import Any

import numpy as np

from psrlib.arrays import IntArray, WordArray

WORDS_PER_BLOCK = 4  # what Philox makes of one counter
ORGANIZATION_WORD = 3  # of the four counter words; word 0 counts up by itself


class Streams:
    """The random streams of one random seed, which is any integer.

    Examples
    --------
    >>> streams = Streams(7)
    >>> all(streams.words("jobs", 3, 5) == streams.words("jobs", 3, 9)[:5])
    True
    """

    def __init__(self, random_seed: int) -> None:
        self.random_seed = random_seed
        self._generators: dict[str, tuple[np.random.Philox, Any, WordArray]] = {}

    def words(self, purpose: str, organization: int, n: int) -> WordArray:
        """Return the first ``n`` words of the stream of a purpose (such as ``jobs``), shape (n,).

        ``organization`` is its position in the document, from 0.
        """
        philox, state, counter = self._stream(purpose)
        counter[ORGANIZATION_WORD] = organization
        philox.state = state
        words: WordArray = philox.random_raw(n)
        return words

    def table(self, purpose: str, organizations: range, width: int) -> WordArray:
        """Return ``width`` words for each of neighbouring organizations, shape (len(organizations), width).

        Where every organization takes the same number of words they stand one organization after the other
        in one stream of the purpose, each beginning with a block of its own: one call for all of them.
        """
        blocks = -(-width // WORDS_PER_BLOCK)
        philox, state, counter = self._stream(purpose)
        counter[:] = (organizations.start * blocks, 0, 0, 0)
        philox.state = state
        words: WordArray = philox.random_raw(len(organizations) * blocks * WORDS_PER_BLOCK)
        return words.reshape(len(organizations), blocks * WORDS_PER_BLOCK)[:, :width]

    def rows(self, purpose: str, organizations: range, counts: IntArray, width: int) -> WordArray:
        """Return ``width`` words for each entity of each organization, shape (counts.sum(), width)."""
        parts = [
            self.words(purpose, organization, count * width)
            for organization, count in zip(organizations, counts.tolist(), strict=True)
            if count
        ]
        return np.concatenate(parts).reshape(-1, width) if parts else np.empty((0, width), dtype=np.uint64)

    def _stream(self, purpose: str) -> tuple[np.random.Philox, Any, WordArray]:
        if purpose not in self._generators:
            name = f"psr-seed/{self.random_seed}/{purpose}".encode()
            key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
            philox = np.random.Philox(key=key)
            state: Any = philox.state  # a copy: counter 0, nothing buffered
            self._generators[purpose] = philox, state, state["state"]["counter"]
        return self._generators[purpose]


def uniform(words: WordArray, n: int | IntArray) -> IntArray:
    """Return integers of 0 to ``n - 1`` (0 where ``n`` is 0) from the upper halves of the words, exactly.

    Examples
    --------
    >>> uniform(np.array([0, 2**63, 2**64 - 1], dtype=np.uint64), 10).tolist()
    [0, 5, 9]
    """
    size = np.asarray(n, dtype=np.uint64)
    return (((words >> np.uint64(32)) * size) >> np.uint64(32)).astype(np.int64)
