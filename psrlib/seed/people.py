"""Groups, users and engines of a range of organizations."""

from itertools import repeat

from psrlib.seed.chunk import Chunk
from psrlib.seed.document import Engine, Group, User
from psrlib.seed.records import Entities, build, first_keys, neighbours
from psrlib.seed.roles import creators_roles
from psrlib.seed.streams import uniform
from psrlib.seed.vocabulary import ADMINISTRATOR_ROLES, GROUP_NAMES, USER_NAMES

ENGINE_PORT = 18630  # Data Collector's own default; engine n of an organization listens on 18630 + n
N_GROUPS = (1, 0, 2, 1)  # of a user, each as likely: one of four in no group, two in one, one in two


def draw_groups(chunk: Chunk) -> Entities[Group]:
    """Draw the groups of a chunk."""
    rows = chunk.rows("groups")
    names = chunk.names("groups", rows, GROUP_NAMES)
    organizations = chunk.ids(rows)
    ids = [f"{n.lower().replace(' ', '-')}@{o}" for n, o in zip(names, organizations, strict=True)]
    return build(Group, "group", rows, id=ids, name=names)


def draw_users(chunk: Chunk) -> Entities[User]:
    """Draw the users of a chunk; the first one of each organization is its administrator."""
    rows = chunk.rows("users")
    names = chunk.names("users", rows, USER_NAMES)
    logins = [name.lower().replace(" ", ".") for name in names]
    values = [creators_roles(roles) for roles in chunk.details("user_roles").values]
    roles = [values[i] for i in chunk.user_roles.tolist()]
    _, word = chunk.user_words
    n_groups = rows.spread(chunk.count("groups"))
    group_keys = first_keys("group", int(n_groups.max(initial=0)))
    columns = (uniform(word, n_groups).tolist(), (word & 3).tolist(), n_groups.tolist())
    groups = [neighbours(group_keys, first, N_GROUPS[m], n) for first, m, n in zip(*columns, strict=True)]
    for first, count in zip(rows.offsets.tolist(), rows.counts.tolist(), strict=False):
        if count:
            names[first], logins[first], groups[first] = "Administrator", "admin", []
            roles[first] = ADMINISTRATOR_ROLES
    ids = [f"{login}@{organization}" for login, organization in zip(logins, chunk.ids(rows), strict=True)]
    emails = [f"{id_}.example.com" for id_ in ids]
    return build(User, "user", rows, id=ids, name=names, email=emails, roles=roles, groups=groups)


def draw_engines(chunk: Chunk) -> Entities[Engine]:
    """Return the engines of a chunk; all Data Collectors, for every job runs on one."""
    rows = chunk.rows("engines")
    urls = [f"http://${{engine_host}}:{ENGINE_PORT + i}" for i in rows.index.tolist()]
    return build(Engine, "engine", rows, type=repeat("COLLECTOR"), url=urls, labels=repeat(["all"]))
