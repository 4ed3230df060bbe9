"""Writing people and designs: groups, users, engines, connections, fragments, pipelines."""

import numpy as np

from psrlib.seed.columns import Rows
from psrlib.seed.draw import Pipelines, code
from psrlib.seed.page import Page, flat_keys, groups_of
from psrlib.seed.streams import uniform
from psrlib.seed.texts import (
    CONNECTIONS,
    LABEL_LISTS,
    LOGINS,
    PAIR,
    PARAMETER_MAPS,
    TAG_LISTS,
    USES,
    dumps,
    engine_list,
    group_list,
)
from psrlib.seed.vocabulary import (
    ADMINISTRATOR_ROLES,
    CONNECTION_NAMES,
    FRAGMENT_NAMES,
    GROUP_NAMES,
    LABELS,
    PIPELINE_NAMES,
    TAGS,
    USER_NAMES,
)


def write_groups(page: Page) -> list[str]:
    """Return the groups of each organization."""
    rows = page.chunk.rows("groups")
    names = GROUP_NAMES.walk(*page.chunk.walk_words("groups", rows), rows.index)
    of = [page.ids[i] for i in rows.organization.tolist()]
    return groups_of(
        rows,
        [
            f'{{"key":"{k}","id":"{name.lower().replace(" ", "-")}@{org}","name":"{name}"}}'
            for k, name, org in zip(flat_keys("group", rows), names, of, strict=True)
        ],
    )


def write_users(page: Page) -> list[str]:
    """Return the users of each organization, its administrator first."""
    chunk, rows = page.chunk, page.users
    group = chunk.user_words[1]
    names = USER_NAMES.walk(*chunk.walk_words("users", rows), rows.index)
    roles = page.texts.roles(chunk)
    n_groups = rows.spread(chunk.count("groups"))
    first = uniform(group, n_groups).tolist()
    member = (group & 3).astype(int).tolist()  # 0 or 3: one group; 1: none; 2: two
    administrator = dumps(ADMINISTRATOR_ROLES)
    entities = []
    columns = (
        rows.index.tolist(),
        flat_keys("user", rows),
        names,
        rows.organization.tolist(),
        chunk.user_roles.tolist(),
        first,
        member,
        n_groups.tolist(),
    )
    for index, key, name, number, r, g, m, n in zip(*columns, strict=True):
        org = page.ids[number]
        if index == 0:
            entities.append(
                f'{{"key":"{key}","id":"admin@{org}","name":"Administrator","email":"admin@{org}.example.com",'
                f'"roles":{administrator},"groups":[]}}'
            )
            continue
        login = LOGINS[name]
        groups = group_list(g, (1, 0, 2, 1)[m], n)
        entities.append(
            f'{{"key":"{key}","id":"{login}@{org}","name":"{name}","email":"{login}@{org}.example.com",'
            f'"roles":{roles[r]},"groups":{groups}}}'
        )
    return groups_of(rows, entities)


def write_engines(page: Page) -> list[str]:
    """Return the engines of each organization; all Data Collectors, for every job runs on one."""
    return [engine_list(n) for n in page.chunk.count("engines").tolist()]


def write_connections(page: Page, rows: Rows) -> list[str]:
    """Return the connections of each organization."""
    owner, kind, tag = page.chunk.words("connections", rows, 3)
    names = CONNECTION_NAMES.walk(*page.chunk.walk_words("connections", rows), rows.index)
    types = [f'"{name}"' for name, _ in CONNECTIONS]
    texts = [dumps(configuration) for _, configuration in CONNECTIONS]
    columns = (
        flat_keys("connection", rows),
        names,
        uniform(kind, len(CONNECTIONS)).tolist(),
        page.owners(page.chunk.owner(rows, owner)),
        code(tag, TAGS, (tag & 1).astype(np.int64)).tolist(),
    )
    return groups_of(
        rows,
        [
            f'{{"key":"{k}","name":"{name}","type":{types[t]},"owner":"{o}","configuration":{texts[t]},'
            f'"tags":{TAG_LISTS[tags]}}}'
            for k, name, t, o, tags in zip(*columns, strict=True)
        ],
    )


def write_fragments(page: Page, rows: Rows) -> list[str]:
    """Return the fragments of each organization, of 1 to 3 processors."""
    owner, stages, label = page.chunk.words("fragments", rows, 3)
    names = FRAGMENT_NAMES.walk(*page.chunk.walk_words("fragments", rows), rows.index)
    columns = (
        flat_keys("fragment", rows),
        names,
        page.owners(page.chunk.owner(rows, owner)),
        (1 + uniform(stages, 3)).tolist(),
        code(label, LABELS, (label & 1).astype(np.int64)).tolist(),
    )
    return groups_of(
        rows,
        [
            f'{{"key":"{k}","name":"{name}","owner":"{o}","stages":{stages},"labels":{LABEL_LISTS[labels]}}}'
            for k, name, o, stages, labels in zip(*columns, strict=True)
        ],
    )


def pipeline_names(page: Page, pipelines: Pipelines) -> list[str]:
    """Return the name of each pipeline of the chunk."""
    rows = pipelines.rows
    return PIPELINE_NAMES.walk(*page.chunk.walk_words("pipelines", rows), rows.index)


def write_pipelines(page: Page, pipelines: Pipelines, names: list[str]) -> list[str]:
    """Return the pipelines of each organization."""
    shapes = page.texts.shapes(page.chunk)
    columns = (
        flat_keys("pipeline", pipelines.rows),
        names,
        page.owners(pipelines.owner),
        (pipelines.shape * PAIR + pipelines.commits).tolist(),
        pipelines.labels.tolist(),
        pipelines.parameters.tolist(),
        ((pipelines.fragment + 1) * PAIR + pipelines.connection + 1).tolist(),
    )
    return groups_of(
        pipelines.rows,
        [
            f'{{"key":"{k}","name":"{name}","owner":"{o}",{shapes[s]},'
            f'"labels":{LABEL_LISTS[labels]},"parameters":{PARAMETER_MAPS[p]},'
            f"{USES[uses]}}}"
            for k, name, o, s, labels, p, uses in zip(*columns, strict=True)
        ],
    )
