"""What the writers of all kinds share: the chunk being written and the model's values as JSON."""

from itertools import chain, pairwise

from psrlib.seed.columns import Chunk, Rows, creators_roles
from psrlib.seed.streams import IntArray
from psrlib.seed.texts import PAIR, Texts, dumps, keys


def flat_keys(kind: str, rows: Rows) -> list[str]:
    """Return the key of each entity."""
    most = int(rows.counts.max(initial=0))
    names = keys(kind, 1 << max(most - 1, 0).bit_length())
    return list(chain.from_iterable(names[:count] for count in rows.counts.tolist()))


def groups_of(rows: Rows, entities: list[str]) -> list[str]:
    """Return the entities of each organization as the inside of a JSON list."""
    return [",".join(entities[start:stop]) for start, stop in pairwise(rows.offsets.tolist())]


class ModelTexts:
    """What the model's values look like in JSON."""

    def __init__(self) -> None:
        self._rendered: dict[str, list[str]] = {}
        self._shapes: Texts | None = None

    def rendered(self, chunk: Chunk, name: str) -> list[str]:
        """Return the values of a detail as JSON texts."""
        if name not in self._rendered:
            self._rendered[name] = [dumps(value) for value in chunk.details(name).values]
        return self._rendered[name]

    def roles(self, chunk: Chunk) -> list[str]:
        """Return the users' roles as JSON texts; who creates also schedules jobs and keeps connections."""
        if "user_roles" not in self._rendered:
            values = chunk.details("user_roles").values
            self._rendered["user_roles"] = [dumps(creators_roles(roles)) for roles in values]
        return self._rendered["user_roles"]

    def shapes(self, chunk: Chunk) -> Texts:
        """Return shape and commits of pipelines as JSON members, by a pair of shape and number of commits."""
        if self._shapes is None:
            values = chunk.details("pipeline_shape").values
            self._shapes = Texts(lambda code: _shape(code % PAIR, *values[code // PAIR]))
        return self._shapes


def _shape(commits: int, stages: int, branches: int, event_lane: int, parameters: int) -> str:
    flag = "true" if event_lane else "false"
    return f'"stages":{stages},"branches":{branches},"event_lane":{flag},"commits":{commits}'


class Page:
    """One chunk being written."""

    def __init__(self, texts: ModelTexts, chunk: Chunk) -> None:
        self.texts = texts
        self.chunk = chunk
        self.ids = [f"org-{number + 1:04d}" for number in chunk.organizations]
        self.users = chunk.rows("users")
        self.user_keys = keys("user", 1 << int(self.users.counts.max(initial=1)).bit_length())

    def owners(self, owner: IntArray) -> list[str]:
        """Return the keys of owning users."""
        return list(map(self.user_keys.__getitem__, owner.tolist()))

    def rendered(self, name: str) -> list[str]:
        """Return the values of a detail as JSON texts."""
        return self.texts.rendered(self.chunk, name)
