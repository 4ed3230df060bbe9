"""Identities that must be the same in every run: the component ids of engines."""

import hashlib
import uuid


def engine_id(random_seed: int, organization: str, key: str) -> str:
    """Return the component id of an engine: a version-1 UUID derived from its place in the seed document.

    Data Collector makes time-based (version 1) ids (engine-protocol, 1.1). Deriving them lets a restarted
    fleet be the same engines again, and lets an observer map a hub's engines back to seed keys.

    Examples
    --------
    >>> uuid.UUID(engine_id(19071990, "org-0001", "engine-0001")).version
    1
    """
    name = f"{random_seed}/{organization}/{key}".encode()
    return str(uuid.UUID(bytes=hashlib.blake2b(name, digest_size=16).digest(), version=1))
