"""Streams and table look-ups with the standard library alone: the published algorithm, nothing of ours.

Philox 4x64-10 after Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Prints the first
words of some streams and what they draw from a small table, as ``name values`` lines.
"""

import bisect
import hashlib

MASK = (1 << 64) - 1
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
THRESHOLDS = [1 << 30, 3 << 30, 1 << 32]  # on a scale of 2**32: a quarter, a half, a quarter
STREAMS = [(19071990, "jobs", 0), (19071990, "jobs", 9), (7, "users", 3), (-1, "organization", 123456)]
N_WORDS = 11


def block(counter: list[int], key: list[int]) -> list[int]:
    for _ in range(10):
        first, second = (m * c for m, c in zip(MULTIPLIERS, (counter[0], counter[2]), strict=True))
        counter = [
            (second >> 64) ^ counter[1] ^ key[0],
            second & MASK,
            (first >> 64) ^ counter[3] ^ key[1],
            first & MASK,
        ]
        key = [(k + w) & MASK for k, w in zip(key, WEYL, strict=True)]
    return counter


def words(random_seed: int, purpose: str, organization: int, n: int) -> list[int]:
    name = f"psr-seed/{random_seed}/{purpose}".encode()
    number = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    key = [number & MASK, number >> 64]
    result: list[int] = []
    while len(result) < n:  # a generator counts up before its first block
        result += block([len(result) // 4 + 1, 0, 0, organization], key)
    return result[:n]


def lines() -> list[str]:
    result = []
    for stream in STREAMS:
        values = words(*stream, N_WORDS)
        drawn = [bisect.bisect_right(THRESHOLDS, value >> 32) for value in values]
        result.append(f"{stream} {values} {drawn}")
    return result


if __name__ == "__main__":
    print("\n".join(lines()))
