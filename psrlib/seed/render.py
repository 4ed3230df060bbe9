"""Writing: columns of a chunk to the canonical JSON bytes of its organizations.

Canonical means: keys in the order of the records of ``psrlib.seed.document``, no white space, every field
written. Bytes are put together directly because building half a million objects first costs ten times what
writing them does; ``tests/seed/test_render.py`` holds that decoding and encoding gives the same bytes.
"""

import numpy as np

from psrlib.seed.columns import Rows
from psrlib.seed.document import Config
from psrlib.seed.draw import (
    draw_jobs,
    draw_pipelines,
    draw_subscriptions,
    draw_tasks,
    draw_templates,
    n_fragments,
)
from psrlib.seed.page import Page
from psrlib.seed.render_design import (
    pipeline_names,
    write_connections,
    write_engines,
    write_fragments,
    write_groups,
    write_pipelines,
    write_users,
)
from psrlib.seed.render_jobs import (
    name_jobs,
    write_jobs,
    write_subscriptions,
    write_tasks,
    write_templates,
    write_topologies,
)
from psrlib.seed.texts import dumps


def write_organizations(page: Page) -> list[str]:
    """Return the canonical JSON of each organization."""
    chunk = page.chunk
    fragments = Rows(n_fragments(chunk))
    connections = chunk.rows("connections")
    pipelines = draw_pipelines(chunk)
    templates = draw_templates(chunk, pipelines)
    jobs = draw_jobs(chunk, pipelines, templates)
    names = pipeline_names(page, pipelines)
    named = name_jobs(jobs, names)
    both_jobs = [
        f"{first},{second}" if first and second else first or second
        for first, second in zip(
            write_templates(page, templates, pipelines, names),
            write_jobs(page, jobs, templates, pipelines, named),
            strict=True,
        )
    ]
    parts = zip(
        page.ids,
        write_heads(page),
        write_groups(page),
        write_users(page),
        write_engines(page),
        write_connections(page, connections),
        write_fragments(page, fragments),
        write_pipelines(page, pipelines, names),
        both_jobs,
        write_tasks(page, draw_tasks(chunk, jobs), named),
        write_subscriptions(page, draw_subscriptions(chunk, jobs), named),
        write_topologies(page, jobs),
        strict=True,
    )
    return [
        f'{{"id":"{id_}",{head},"groups":[{g}],"users":[{u}],"engines":[{e}],"connections":[{c}],'
        f'"fragments":[{f}],"pipelines":[{p}],"jobs":[{j}],"scheduled_tasks":[{t}],'
        f'"subscriptions":[{s}],"topologies":[{y}]}}'
        for id_, head, g, u, e, c, f, p, j, t, s, y in parts
    ]


def write_heads(page: Page) -> list[str]:
    """Return name, archetype and configuration."""
    draws = page.chunk.draws
    archetypes = [dumps(name) for name in draws.archetype_names]
    unset = np.full(len(page.ids), -1)
    columns = [
        [f'"{name}":{value if value >= 0 else "null"}' for value in draws.config.get(name, unset).tolist()]
        for name in Config.__struct_fields__[1:]
    ]
    limits = [",".join(row) for row in zip(*columns, strict=True)]
    enabled = ["true" if flag else "false" for flag in draws.config["subscriptions_enabled"].tolist()]
    numbers = (number + 1 for number in page.chunk.organizations)
    return [
        f'"name":"Organization {n:04d}","archetype":{archetypes[a]},'
        f'"config":{{"subscriptions_enabled":{e},{m}}}'
        for n, a, e, m in zip(numbers, draws.archetype.tolist(), enabled, limits, strict=True)
    ]
