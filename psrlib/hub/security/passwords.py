"""Passwords: argon2id hashes, and the generated initial password that needs none."""

import hmac

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's smallest recommended argon2id setting: 19 MiB, 2 passes, 1 lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash("nobody")  # verified for unknown users, so that a refusal always costs the same
MIN_LENGTH = 8  # characters; the hub's choice
MAX_LENGTH = 1024


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _HASHER.hash(password)


def verify_password(password: str, stored: str | None, generated: str | None) -> bool:
    """Tell whether a password is right.

    ``stored`` is the argon2 hash; while there is none, the ``generated`` initial password holds (a hub
    without mail: the user id), which is None for an unknown user.
    """
    is_generated = generated is not None and hmac.compare_digest(password.encode(), generated.encode())
    if stored is None and is_generated:
        return True
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
