"""Words that names are made of, and walks over them that never give the same name twice."""

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
import orjson

from psrlib.arrays import IntArray, WordArray
from psrlib.seed.streams import uniform

_WORDS: dict[str, Any] = orjson.loads(resources.files(__package__).joinpath("vocabulary.json").read_bytes())
QUALIFIERS: list[str] = _WORDS["qualifiers"]
LABELS: list[str] = _WORDS["labels"]
ENGINE_LABELS: list[str] = _WORDS["engine_labels"]  # in the order in which jobs ask for them
TAGS: list[str] = _WORDS["tags"]
ROLES: list[str] = _WORDS["roles"]  # the more of them a user has, the more it may do
ADMINISTRATOR_ROLES: list[str] = _WORDS["administrator_roles"]
# Runtime parameters: name, value in the pipeline, value that a job sets instead; all text, as in real ones
PARAMETERS: list[list[str]] = _WORDS["parameters"]
# Connection types of Control Hub with the configuration names of their stages; nothing contacts them
CONNECTIONS = (
    ("STREAMSETS_JDBC", {"connectionString": "jdbc:postgresql://${database_host}:5432/warehouse"}),
    ("STREAMSETS_AWS_S3", {"region": "${aws_region}", "bucket": "landing"}),
    ("STREAMSETS_SNOWFLAKE", {"account": "${snowflake_account}", "snowflakeRegion": "US_WEST_2"}),
    ("STREAMSETS_MYSQL", {"connectionString": "jdbc:mysql://${database_host}:3306/orders"}),
)
# Variables of a new document with their values for a hub and engines on this machine
VARIABLES = {
    "engine_host": "127.0.0.1",
    "engine_max_pipelines": "22",  # psrlib.seed.capacity
    "webhook_url": "http://127.0.0.1:0/webhook",  # port 0: a free one, each run's own
    "database_host": "127.0.0.1",
    "aws_region": "us-west-2",
    "snowflake_account": "example",
}


@dataclass(frozen=True)
class Names:
    """Names that are combinations of words, each given once before any comes again with a number.

    A walk starts anywhere and takes equal steps on a circle of prime length, so it meets every combination
    before the first one comes again: unique by construction, without looking for collisions.
    """

    words: tuple[list[str], ...]
    joints: tuple[str, ...]

    @cached_property
    def all(self) -> list[str]:
        """All combinations on the circle, in order."""
        size = largest_prime(int(np.prod([len(words) for words in self.words])))
        names = [""]
        for words, joint in zip(self.words, ("", *self.joints), strict=True):
            names = [f"{name}{joint}{word}" for name in names for word in words]
        return names[:size]

    def walk(self, start: WordArray, step: WordArray, index: IntArray) -> list[str]:
        """Return the name of each entity, shape (n,); start and step fix its organization's walk."""
        size = len(self.all)
        position = (uniform(start, size) + index * (1 + uniform(step, size - 1))) % size
        names = self.all
        cycles = index // size
        if cycles.any():
            pairs = zip(position.tolist(), cycles.tolist(), strict=True)
            return [f"{names[i]} {cycle + 1}" if cycle else names[i] for i, cycle in pairs]
        return list(map(names.__getitem__, position.tolist()))


def largest_prime(limit: int) -> int:
    """Return the largest prime number up to ``limit`` (at least 2).

    Examples
    --------
    >>> largest_prime(100)
    97
    """
    return next(n for n in range(limit, 1, -1) if all(n % d for d in range(2, int(n**0.5) + 1)))


def _names(lists: str, *joints: str) -> Names:
    return Names(tuple(_WORDS[name] for name in lists.split()), joints)


USER_NAMES = _names("first_names last_names", " ")
PIPELINE_NAMES = _names("sources subjects sinks", " ", " to ")
GROUP_NAMES = _names("teams group_roles", " ")
TOPOLOGY_NAMES = _names("subjects flows", " ")
FRAGMENT_NAMES = _names("fragment_verbs subjects", " ")
CONNECTION_NAMES = _names("sinks subjects", " ")
