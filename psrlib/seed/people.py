"""Groups, users and engines of a range of organizations."""

from itertools import repeat

import numpy as np

from psrlib.seed.chunk import Chunk
from psrlib.seed.designs import draw_words
from psrlib.seed.document import Engine, Group, User
from psrlib.seed.records import Entities, build, each, each_pair, first_keys, neighbours
from psrlib.seed.roles import creators_roles, first_roles
from psrlib.seed.streams import uniform
from psrlib.seed.vocabulary import ADMINISTRATOR_ROLES, ENGINE_LABELS, GROUP_NAMES, USER_NAMES

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
    drawn = chunk.inside.get("users", {})
    if "roles" in drawn:
        roles = each_pair(first_roles, drawn["roles"], chunk.owns)
    else:
        values = [creators_roles(roles) for roles in chunk.details("user_roles").values]
        roles = each(values, chunk.user_roles.tolist())
    _, word = chunk.user_words
    n_groups = rows.spread(chunk.count("groups"))
    group_keys = first_keys("group", int(n_groups.max(initial=0)))
    n_own = drawn["groups"] if "groups" in drawn else np.array(N_GROUPS)[(word & np.uint64(3)).astype(int)]
    columns = (uniform(word, n_groups).tolist(), n_own.tolist(), n_groups.tolist())
    groups = [neighbours(group_keys, first, m, n) for first, m, n in zip(*columns, strict=True)]
    for first, count in zip(rows.offsets.tolist(), rows.counts.tolist(), strict=False):
        if count:
            names[first], logins[first], groups[first] = "Administrator", "admin", []
            roles[first] = ADMINISTRATOR_ROLES
    ids = [f"{login}@{organization}" for login, organization in zip(logins, chunk.ids(rows), strict=True)]
    emails = [f"{id_}.example.com" for id_ in ids]
    return build(User, "user", rows, id=ids, name=names, email=emails, roles=roles, groups=groups)


def draw_engines(chunk: Chunk) -> Entities[Engine]:
    """Return the engines of a chunk; all Data Collectors, for every job runs on one.

    Those of an organization have the same labels, all that a job of it asks for, so each job may run on any.
    """
    rows = chunk.rows("engines")
    n_labels = np.ones(len(chunk.organizations), dtype=np.int64)
    np.maximum.at(n_labels, chunk.rows("jobs").organization, chunk.engine_labels)
    n_labels = rows.spread(n_labels)
    labels = draw_words(ENGINE_LABELS, np.zeros(len(n_labels), dtype=np.uint64), n_labels)
    urls = [f"http://${{engine_host}}:{ENGINE_PORT + i}" for i in rows.index.tolist()]
    return build(Engine, "engine", rows, type=repeat("COLLECTOR"), url=urls, labels=labels)
