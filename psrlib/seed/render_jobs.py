"""Writing jobs and what acts on them: templates, jobs, scheduled tasks, subscriptions, topologies."""

from dataclasses import dataclass

from psrlib.seed.draw import Jobs, OnJobs, Pipelines
from psrlib.seed.page import Page, flat_keys, groups_of
from psrlib.seed.streams import uniform
from psrlib.seed.texts import (
    NUMBERED,
    OVERRIDE_MAPS,
    PAIR,
    PARAMETER_MAPS,
    QUALIFIED,
    RUNS,
    TAG_LISTS,
    job_list,
)
from psrlib.seed.vocabulary import TOPOLOGY_NAMES

TASK_WORDS = ("Start", "Stop", "Upgrade")


@dataclass(frozen=True)
class Named:
    """Keys and names of the jobs of a chunk, shape (n,) each."""

    keys: list[str]
    names: list[str]


def name_jobs(jobs: Jobs, pipeline_names: list[str]) -> Named:
    """Return keys and names: as the UI names jobs, with a word for the further ones of a pipeline."""
    of = zip(jobs.pipeline.tolist(), jobs.rank.tolist(), strict=True)
    names = [f"Job for {pipeline_names[pipeline]}{QUALIFIED[rank]}" for pipeline, rank in of]
    return Named(flat_keys("job", jobs.rows), names)


def write_templates(page: Page, templates: Jobs, pipelines: Pipelines, names: list[str]) -> list[str]:
    """Return the job templates of each organization."""
    key_of = flat_keys("pipeline", pipelines.rows)
    parameters = pipelines.parameters.tolist()
    columns = (
        flat_keys("template", templates.rows),
        templates.pipeline.tolist(),
        templates.rank.tolist(),
        page.owners(templates.owner),
        templates.tags.tolist(),
    )
    return groups_of(
        templates.rows,
        [
            f'{{"key":"{k}","name":"Template for {names[p]}{QUALIFIED[r]}","pipeline":"{key_of[p]}",'
            f'"owner":"{o}","status":"INACTIVE","labels":["all"],"instances":1,"tags":{TAG_LISTS[t]},'
            f'"parameters":{PARAMETER_MAPS[parameters[p]]},'
            f'"is_template":true,"template":null}}'
            for k, p, r, o, t in zip(*columns, strict=True)
        ],
    )


def write_jobs(page: Page, jobs: Jobs, templates: Jobs, pipelines: Pipelines, named: Named) -> list[str]:
    """Return the jobs of each organization without its templates."""
    key_of = flat_keys("pipeline", pipelines.rows)
    template_of = [*(f'"{key}"' for key in flat_keys("template", templates.rows)), "null"]
    columns = (
        named.keys,
        named.names,
        jobs.pipeline.tolist(),
        page.owners(jobs.owner),
        ((jobs.tags * PAIR + jobs.instances) * 2 + jobs.active).tolist(),
        jobs.override.tolist(),
        jobs.template.tolist(),
    )
    return groups_of(
        jobs.rows,
        [
            f'{{"key":"{k}","name":"{name}","pipeline":"{key_of[p]}","owner":"{o}",'
            f'{RUNS[runs]},"parameters":{OVERRIDE_MAPS[v]},'
            f'"is_template":false,"template":{template_of[of]}}}'
            for k, name, p, o, runs, v, of in zip(*columns, strict=True)
        ],
    )


def write_tasks(page: Page, tasks: OnJobs, named: Named) -> list[str]:
    """Return the scheduled tasks of each organization."""
    crons = page.rendered("schedule_cron")
    columns = (
        flat_keys("task", tasks.rows),
        tasks.kind.tolist(),
        tasks.job.tolist(),
        tasks.rank.tolist(),
        tasks.other.tolist(),
        page.owners(tasks.owner),
    )
    return groups_of(
        tasks.rows,
        [
            f'{{"key":"{k}","name":"{TASK_WORDS[a]} {named.names[j]}{NUMBERED[r]}","job":"{named.keys[j]}",'
            f'"action":"{TASK_WORDS[a].upper()}","cron":{crons[c]},"owner":"{o}"}}'
            for k, a, j, r, c, o in zip(*columns, strict=True)
        ],
    )


def write_subscriptions(page: Page, subscriptions: OnJobs, named: Named) -> list[str]:
    """Return the subscriptions of each organization."""
    events = page.rendered("subscription_event")
    labels = [text.strip('"').replace("_", " ").capitalize() for text in events]
    actions = page.chunk.details("subscription_action").values
    of = [page.ids[i] for i in subscriptions.rows.organization.tolist()]
    columns = (
        flat_keys("subscription", subscriptions.rows),
        subscriptions.kind.tolist(),
        subscriptions.job.tolist(),
        subscriptions.rank.tolist(),
        subscriptions.other.tolist(),
        page.owners(subscriptions.owner),
        (subscriptions.word & 15).tolist(),
        of,
    )
    targets = {"WEBHOOK": "${webhook_url}"}
    return groups_of(
        subscriptions.rows,
        [
            f'{{"key":"{k}","name":"{labels[e]} of {named.names[j]}{NUMBERED[r]}","job":"{named.keys[j]}",'
            f'"event":{events[e]},"action":"{actions[a]}",'
            f'"target":"{targets.get(actions[a]) or f"admin@{org}.example.com"}","owner":"{o}",'
            f'"enabled":{"true" if word else "false"}}}'
            for k, e, j, r, a, o, word, org in zip(*columns, strict=True)
        ],
    )


def write_topologies(page: Page, jobs: Jobs) -> list[str]:
    """Return the topologies of each organization, over 2 to 5 neighbouring jobs."""
    rows = page.chunk.rows("topologies")
    owner, start, size = page.chunk.words("topologies", rows, 3)
    names = TOPOLOGY_NAMES.walk(*page.chunk.walk_words("topologies", rows), rows.index)
    n_jobs = rows.spread(jobs.rows.counts)
    columns = (
        flat_keys("topology", rows),
        names,
        page.owners(page.chunk.owner(rows, owner)),
        uniform(start, n_jobs).tolist(),
        (2 + uniform(size, 4)).tolist(),
        n_jobs.tolist(),
    )
    return groups_of(
        rows,
        [
            f'{{"key":"{k}","name":"{name}","owner":"{o}","jobs":{job_list(s, min(m, n), n)}}}'
            for k, name, o, s, m, n in zip(*columns, strict=True)
        ],
    )
