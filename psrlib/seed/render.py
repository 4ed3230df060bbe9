"""Writing: columns of a chunk to the canonical JSON bytes of its organizations.

Canonical means: keys in the order of the records of ``psrlib.seed.document``, no white space, every field
written. Bytes are put together directly because building half a million objects first costs ten times what
writing them does; ``tests/seed/test_render.py`` holds that decoding and encoding gives the same bytes.
"""

from collections.abc import Iterable
from functools import cache
from itertools import pairwise

import orjson

from psrlib.seed.columns import (
    Chunk,
    Drawer,
    Jobs,
    OnJobs,
    Pipelines,
    Rows,
    draw_jobs,
    draw_pipelines,
    draw_subscriptions,
    draw_tasks,
    draw_templates,
    n_fragments,
)
from psrlib.seed.streams import uniform
from psrlib.seed.vocabulary import (
    CONNECTION_NAMES,
    FRAGMENT_NAMES,
    GROUP_NAMES,
    LABELS,
    PARAMETERS,
    PIPELINE_NAMES,
    QUALIFIERS,
    TAGS,
    TOPOLOGY_NAMES,
    USER_NAMES,
)

ENGINE_PORT = 18630  # Data Collector's own default; engine n of an organization listens on 18630 + n
ADMINISTRATOR_ROLES = [
    "user",
    "org-user",
    "org-admin",
    "auth-token-admin",
    "datacollector:admin",
    "datacollector:manager",
    "datacollector:creator",
    "pipelinestore:pipelineEditor",
    "jobrunner:operator",
    "timeseries:reader",
    "topology:editor",
    "sla:editor",
    "notification:user",
    "scheduler:operator",
    "provisioning:operator",
    "connection:editor",
    "connection:user",
]
# Connection types of Control Hub with the configuration names of their stages; nothing contacts them
CONNECTIONS = (
    ("STREAMSETS_JDBC", {"connectionString": "jdbc:postgresql://${database_host}:5432/warehouse"}),
    ("STREAMSETS_AWS_S3", {"region": "${aws_region}", "bucket": "landing"}),
    ("STREAMSETS_SNOWFLAKE", {"account": "${snowflake_account}", "snowflakeRegion": "US_WEST_2"}),
    ("STREAMSETS_MYSQL", {"connectionString": "jdbc:mysql://${database_host}:3306/orders"}),
)
VARIABLES = {
    "engine_host": "127.0.0.1",
    "webhook_url": "http://127.0.0.1:18636/webhook",
    "database_host": "127.0.0.1",
    "aws_region": "us-west-2",
    "snowflake_account": "example",
}
TASK_WORDS = ("Start", "Stop", "Upgrade")
MAX_LISTED_GROUPS = 2


def dumps(value: object) -> str:
    """Return canonical JSON text."""
    return orjson.dumps(value).decode()


@cache
def keys(kind: str, n: int) -> list[str]:
    """Return the first ``n`` keys of a kind, and more: callers round ``n`` up to share lists."""
    return [f"{kind}-{number:04d}" for number in range(1, n + 1)]


def flat_keys(kind: str, rows: Rows) -> list[str]:
    """Return the key of each entity."""
    most = int(rows.counts.max(initial=0))
    names = keys(kind, 1 << max(most - 1, 0).bit_length())
    return [names[i] for i in rows.index.tolist()]


@cache
def word_list(words: tuple[str, ...], start: int, n: int) -> str:
    """Return a JSON list of ``n`` neighbouring words, all of them if there are fewer."""
    return dumps([words[(start + i) % len(words)] for i in range(min(n, len(words)))])


@cache
def parameter_names(start: int, n: int) -> list[tuple[str, str, str]]:
    """Return ``n`` runtime parameters: name, value in the pipeline, other value."""
    rounds = [PARAMETERS[(start + i) % len(PARAMETERS)] for i in range(n)]
    return [
        (name if i < len(PARAMETERS) else f"{name}_{i // len(PARAMETERS) + 1}", value, other)
        for i, (name, value, other) in enumerate(rounds)
    ]


@cache
def parameter_map(start: int, n: int) -> str:
    """Return the runtime parameters of a pipeline as JSON."""
    return dumps({name: value for name, value, _ in parameter_names(start, n)})


@cache
def override_map(start: int, n: int) -> str:
    """Return what a job sets instead: the other value of the pipeline's first parameter."""
    return dumps({name: other for name, _, other in parameter_names(start, min(n, 1))})


@cache
def qualifier(rank: int) -> str:
    """Return what tells the jobs of one pipeline apart; nothing for the first."""
    if rank == 0:
        return ""
    cycle, word = divmod(rank - 1, len(QUALIFIERS))
    return f" ({QUALIFIERS[word]}{f' {cycle + 1}' if cycle else ''})"


def groups_of(rows: Rows, entities: Iterable[str]) -> list[str]:
    """Return the entities of each organization as the inside of a JSON list."""
    flat = list(entities)
    return [",".join(flat[start:stop]) for start, stop in pairwise(rows.offsets.tolist())]


class Renderer:
    """Renders chunks; holds what the model's values look like in JSON."""

    def __init__(self, drawer: Drawer) -> None:
        self.drawer = drawer
        self._rendered: dict[str, list[str]] = {}

    def rendered(self, chunk: Chunk, name: str) -> list[str]:
        """Return the values of a detail as JSON texts."""
        if name not in self._rendered:
            self._rendered[name] = [dumps(value) for value in chunk.details(name).values]
        return self._rendered[name]

    def shapes(self, chunk: Chunk) -> list[str]:
        """Return the pipeline shapes as JSON members."""
        if "shape" not in self._rendered:
            self._rendered["shape"] = [
                f'"stages":{stages},"branches":{branches},"event_lane":{"true" if event_lane else "false"}'
                for stages, branches, event_lane, _ in chunk.details("pipeline_shape").values
            ]
        return self._rendered["shape"]

    def organizations(self, organizations: range) -> list[bytes]:
        """Return the canonical JSON of each organization."""
        return Page(self, Chunk(self.drawer, organizations)).organizations()


class Page:
    """The strings of one chunk, kind by kind."""

    def __init__(self, renderer: Renderer, chunk: Chunk) -> None:
        self.renderer = renderer
        self.chunk = chunk
        self.ids = [f"org-{number + 1:04d}" for number in chunk.organizations]
        self.users = chunk.rows("users")
        self.user_keys = keys("user", 1 << int(self.users.counts.max(initial=1)).bit_length())

    def organizations(self) -> list[bytes]:
        """Return the canonical JSON of each organization."""
        chunk = self.chunk
        fragments = Rows(n_fragments(chunk))
        connections = chunk.rows("connections")
        pipelines = draw_pipelines(chunk)
        templates = draw_templates(chunk, pipelines)
        jobs = draw_jobs(chunk, pipelines, templates)
        names = self.pipeline_names(pipelines)
        job_names = [
            f"Job for {names[p]}{qualifier(r)}"
            for p, r in zip(jobs.pipeline.tolist(), jobs.rank.tolist(), strict=True)
        ]
        job_keys = flat_keys("job", jobs.rows)
        both_jobs = [
            f"{first},{second}" if first and second else first or second
            for first, second in zip(
                self.templates(templates, pipelines, names),
                self.jobs(jobs, templates, pipelines, job_keys, job_names),
                strict=True,
            )
        ]
        parts = zip(
            self.ids,
            self.heads(),
            self.groups(),
            self.user_records(),
            self.engines(),
            self.connections(connections),
            self.fragments(fragments),
            self.pipelines(pipelines, names),
            both_jobs,
            self.tasks(draw_tasks(chunk, jobs), job_keys, job_names),
            self.subscriptions(draw_subscriptions(chunk, jobs), job_keys, job_names),
            self.topologies(jobs, job_keys),
            strict=True,
        )
        return [
            (
                f'{{"id":"{id_}",{head},"groups":[{g}],"users":[{u}],"engines":[{e}],"connections":[{c}],'
                f'"fragments":[{f}],"pipelines":[{p}],"jobs":[{j}],"scheduled_tasks":[{t}],'
                f'"subscriptions":[{s}],"topologies":[{y}]}}'
            ).encode()
            for id_, head, g, u, e, c, f, p, j, t, s, y in parts
        ]

    def heads(self) -> list[str]:
        """Return name, archetype and configuration."""
        draws = self.chunk.draws
        archetypes = [dumps(name) for name in draws.archetype_names]
        names = [name for name in draws.config if name != "subscriptions_enabled"]
        columns = [
            [f'"{name}":{value if value >= 0 else "null"}' for value in draws.config[name].tolist()]
            for name in names
        ]
        limits = [",".join(row) for row in zip(*columns, strict=True)]
        enabled = ["true" if flag else "false" for flag in draws.config["subscriptions_enabled"].tolist()]
        numbers = (number + 1 for number in self.chunk.organizations)
        return [
            f'"name":"Organization {n:04d}","archetype":{archetypes[a]},"config":{{"subscriptions_enabled":{e},{m}}}'
            for n, a, e, m in zip(numbers, draws.archetype.tolist(), enabled, limits, strict=True)
        ]

    def owners(self, owner: list[int]) -> list[str]:
        """Return the keys of owning users."""
        return [self.user_keys[rank] for rank in owner]

    def groups(self) -> list[str]:
        """Return the groups of each organization."""
        rows = self.chunk.rows("groups")
        names = GROUP_NAMES.walk(*self.chunk.walk_words("groups", rows), rows.index)
        of = [self.ids[i] for i in rows.organization.tolist()]
        return groups_of(
            rows,
            (
                f'{{"key":"{k}","id":"{name.lower().replace(" ", "-")}@{org}","name":"{name}"}}'
                for k, name, org in zip(flat_keys("group", rows), names, of, strict=True)
            ),
        )

    def user_records(self) -> list[str]:
        """Return the users of each organization, its administrator first."""
        chunk, rows = self.chunk, self.users
        role, group = chunk.words("users", rows, 2)
        names = USER_NAMES.walk(*chunk.walk_words("users", rows), rows.index)
        roles = self.renderer.rendered(chunk, "user_roles")
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
            chunk.look_up("user_roles", rows, role).tolist(),
            first,
            member,
            n_groups.tolist(),
        )
        for index, key, name, number, r, g, m, n in zip(*columns, strict=True):
            org = self.ids[number]
            if index == 0:
                entities.append(
                    f'{{"key":"{key}","id":"admin@{org}","name":"Administrator","email":"admin@{org}.example.com",'
                    f'"roles":{administrator},"groups":[]}}'
                )
                continue
            login = name.lower().replace(" ", ".")
            groups = group_list(g, (1, 0, 2, 1)[m], n)
            entities.append(
                f'{{"key":"{key}","id":"{login}@{org}","name":"{name}","email":"{login}@{org}.example.com",'
                f'"roles":{roles[r]},"groups":{groups}}}'
            )
        return groups_of(rows, entities)

    def engines(self) -> list[str]:
        """Return the engines of each organization; all Data Collectors, for every job runs on one."""
        return [engine_list(n) for n in self.chunk.count("engines").tolist()]

    def connections(self, rows: Rows) -> list[str]:
        """Return the connections of each organization."""
        owner, kind, tag = self.chunk.words("connections", rows, 3)
        names = CONNECTION_NAMES.walk(*self.chunk.walk_words("connections", rows), rows.index)
        types = [f'"{name}"' for name, _ in CONNECTIONS]
        texts = [dumps(configuration) for _, configuration in CONNECTIONS]
        columns = (
            flat_keys("connection", rows),
            names,
            uniform(kind, len(CONNECTIONS)).tolist(),
            self.owners(self.chunk.owner(rows, owner).tolist()),
            uniform(tag, len(TAGS)).tolist(),
            (tag & 1).tolist(),
        )
        return groups_of(
            rows,
            (
                f'{{"key":"{k}","name":"{name}","type":{types[t]},"owner":"{o}","configuration":{texts[t]},'
                f'"tags":{word_list(tuple(TAGS), start, n)}}}'
                for k, name, t, o, start, n in zip(*columns, strict=True)
            ),
        )

    def fragments(self, rows: Rows) -> list[str]:
        """Return the fragments of each organization, of 1 to 3 processors."""
        owner, stages, label = self.chunk.words("fragments", rows, 3)
        names = FRAGMENT_NAMES.walk(*self.chunk.walk_words("fragments", rows), rows.index)
        columns = (
            flat_keys("fragment", rows),
            names,
            self.owners(self.chunk.owner(rows, owner).tolist()),
            (1 + uniform(stages, 3)).tolist(),
            uniform(label, len(LABELS)).tolist(),
            (label & 1).tolist(),
        )
        return groups_of(
            rows,
            (
                f'{{"key":"{k}","name":"{name}","owner":"{o}","stages":{stages},"labels":{word_list(tuple(LABELS), start, n)}}}'
                for k, name, o, stages, start, n in zip(*columns, strict=True)
            ),
        )

    def pipeline_names(self, pipelines: Pipelines) -> list[str]:
        """Return the name of each pipeline of the chunk."""
        rows = pipelines.rows
        return PIPELINE_NAMES.walk(*self.chunk.walk_words("pipelines", rows), rows.index)

    def pipelines(self, pipelines: Pipelines, names: list[str]) -> list[str]:
        """Return the pipelines of each organization."""
        shapes = self.renderer.shapes(self.chunk)
        columns = (
            flat_keys("pipeline", pipelines.rows),
            names,
            self.owners(pipelines.owner.tolist()),
            pipelines.shape.tolist(),
            pipelines.commits.tolist(),
            pipelines.label.tolist(),
            pipelines.n_labels.tolist(),
            pipelines.parameter.tolist(),
            pipelines.n_parameters.tolist(),
            pipelines.fragment.tolist(),
            pipelines.connection.tolist(),
        )
        return groups_of(
            pipelines.rows,
            (
                f'{{"key":"{k}","name":"{name}","owner":"{o}",{shapes[s]},"commits":{commits},'
                f'"labels":{label_list(l, nl)},"parameters":{pipeline_parameters(p, np_)},'
                f'"fragment":{number_key("fragment", f)},"connection":{number_key("connection", c)}}}'
                for k, name, o, s, commits, l, nl, p, np_, f, c in zip(*columns, strict=True)
            ),
        )

    def templates(self, templates: Jobs, pipelines: Pipelines, names: list[str]) -> list[str]:
        """Return the job templates of each organization."""
        key_of = flat_keys("pipeline", pipelines.rows)
        start, n_parameters = pipelines.parameter.tolist(), pipelines.n_parameters.tolist()
        columns = (
            flat_keys("template", templates.rows),
            templates.pipeline.tolist(),
            templates.rank.tolist(),
            self.owners(templates.owner.tolist()),
            templates.tag.tolist(),
            templates.n_tags.tolist(),
        )
        return groups_of(
            templates.rows,
            (
                f'{{"key":"{k}","name":"Template for {names[p]}{qualifier(r)}","pipeline":"{key_of[p]}","owner":"{o}",'
                f'"status":"INACTIVE","labels":["all"],"instances":1,"tags":{tag_list(t, n)},'
                f'"parameters":{pipeline_parameters(start[p], n_parameters[p])},"is_template":true,"template":null}}'
                for k, p, r, o, t, n in zip(*columns, strict=True)
            ),
        )

    def jobs(
        self, jobs: Jobs, templates: Jobs, pipelines: Pipelines, job_keys: list[str], names: list[str]
    ) -> list[str]:
        """Return the jobs of each organization without its templates."""
        key_of = flat_keys("pipeline", pipelines.rows)
        template_of = [*(f'"{key}"' for key in flat_keys("template", templates.rows)), "null"]
        start, n_parameters = pipelines.parameter.tolist(), pipelines.n_parameters.tolist()
        columns = (
            job_keys,
            names,
            jobs.pipeline.tolist(),
            self.owners(jobs.owner.tolist()),
            jobs.active.tolist(),
            jobs.instances.tolist(),
            jobs.tag.tolist(),
            jobs.n_tags.tolist(),
            jobs.override.tolist(),
            jobs.template.tolist(),
        )
        return groups_of(
            jobs.rows,
            (
                f'{{"key":"{k}","name":"{name}","pipeline":"{key_of[p]}","owner":"{o}",'
                f'"status":"{"ACTIVE" if a else "INACTIVE"}","labels":["all"],"instances":{i},'
                f'"tags":{tag_list(t, n)},'
                f'"parameters":{job_parameters(start[p], n_parameters[p]) if v else "{}"},'
                f'"is_template":false,"template":{template_of[of]}}}'
                for k, name, p, o, a, i, t, n, v, of in zip(*columns, strict=True)
            ),
        )

    def tasks(self, tasks: OnJobs, job_keys: list[str], job_names: list[str]) -> list[str]:
        """Return the scheduled tasks of each organization."""
        crons = self.renderer.rendered(self.chunk, "schedule_cron")
        columns = (
            flat_keys("task", tasks.rows),
            tasks.kind.tolist(),
            tasks.job.tolist(),
            tasks.rank.tolist(),
            tasks.other.tolist(),
            self.owners(tasks.owner.tolist()),
        )
        return groups_of(
            tasks.rows,
            (
                f'{{"key":"{k}","name":"{TASK_WORDS[a]} {job_names[j]}{qualifier(r)}","job":"{job_keys[j]}",'
                f'"action":"{TASK_WORDS[a].upper()}","cron":{crons[c]},"owner":"{o}"}}'
                for k, a, j, r, c, o in zip(*columns, strict=True)
            ),
        )

    def subscriptions(self, subscriptions: OnJobs, job_keys: list[str], job_names: list[str]) -> list[str]:
        """Return the subscriptions of each organization."""
        events = self.renderer.rendered(self.chunk, "subscription_event")
        labels = [text.strip('"').replace("_", " ").capitalize() for text in events]
        actions = self.chunk.details("subscription_action").values
        of = [self.ids[i] for i in subscriptions.rows.organization.tolist()]
        columns = (
            flat_keys("subscription", subscriptions.rows),
            subscriptions.kind.tolist(),
            subscriptions.job.tolist(),
            subscriptions.rank.tolist(),
            subscriptions.other.tolist(),
            self.owners(subscriptions.owner.tolist()),
            (subscriptions.word & 15).tolist(),
            of,
        )
        targets = {"WEBHOOK": "${webhook_url}"}
        return groups_of(
            subscriptions.rows,
            (
                f'{{"key":"{k}","name":"{labels[e]} of {job_names[j]}{qualifier(r)}","job":"{job_keys[j]}",'
                f'"event":{events[e]},"action":"{actions[a]}",'
                f'"target":"{targets.get(actions[a]) or f"admin@{org}.example.com"}","owner":"{o}",'
                f'"enabled":{"true" if word else "false"}}}'
                for k, e, j, r, a, o, word, org in zip(*columns, strict=True)
            ),
        )

    def topologies(self, jobs: Jobs, job_keys: list[str]) -> list[str]:
        """Return the topologies of each organization, over 2 to 5 neighbouring jobs."""
        rows = self.chunk.rows("topologies")
        owner, start, size = self.chunk.words("topologies", rows, 3)
        names = TOPOLOGY_NAMES.walk(*self.chunk.walk_words("topologies", rows), rows.index)
        n_jobs = rows.spread(jobs.rows.counts)
        columns = (
            flat_keys("topology", rows),
            names,
            self.owners(self.chunk.owner(rows, owner).tolist()),
            uniform(start, n_jobs).tolist(),
            (2 + uniform(size, 4)).tolist(),
            n_jobs.tolist(),
        )
        return groups_of(
            rows,
            (
                f'{{"key":"{k}","name":"{name}","owner":"{o}","jobs":{job_list(s, min(m, n), n)}}}'
                for k, name, o, s, m, n in zip(*columns, strict=True)
            ),
        )


def label_list(start: int, n: int) -> str:
    """Return pipeline labels as JSON."""
    return word_list(tuple(LABELS), start % len(LABELS), n) if n else "[]"


def tag_list(start: int, n: int) -> str:
    """Return job tags as JSON."""
    return word_list(tuple(TAGS), start % len(TAGS), n) if n else "[]"


def pipeline_parameters(start: int, n: int) -> str:
    """Return runtime parameters as JSON."""
    return parameter_map(start % len(PARAMETERS), n) if n else "{}"


def job_parameters(start: int, n: int) -> str:
    """Return what a job overrides as JSON."""
    return override_map(start % len(PARAMETERS), n) if n else "{}"


@cache
def number_key(kind: str, number: int) -> str:
    """Return the key of an entity as JSON, ``null`` for -1."""
    return "null" if number < 0 else f'"{kind}-{number + 1:04d}"'


@cache
def group_list(start: int, m: int, n: int) -> str:
    """Return the keys of ``m`` neighbouring groups of ``n``."""
    return dumps([f"group-{(start + i) % n + 1:04d}" for i in range(min(m, n))])


def job_list(start: int, m: int, n: int) -> str:
    """Return the keys of ``m`` neighbouring jobs of ``n``."""
    return dumps([f"job-{(start + i) % n + 1:04d}" for i in range(m)])


@cache
def engine_list(n: int) -> str:
    """Return ``n`` engines."""
    return ",".join(
        f'{{"key":"engine-{i + 1:04d}","type":"COLLECTOR","url":"http://${{engine_host}}:{ENGINE_PORT + i}",'
        f'"labels":["all"]}}'
        for i in range(n)
    )
