"""Export documents of pipelines, and the versions of a pipeline after the first."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson

from psrlib import seed
from psrlib.client import LostAnswerError
from psrlib.client.apps.jobrunner import rules_id
from psrlib.client.wire import Json, is_absent
from psrlib.errors import HubError, HubUnreachableError
from psrlib.seed.document import Pipeline
from psrlib.seed.pipelines import CONNECTIONS
from psrlib.state.create_once import ATTEMPTS, pause
from psrlib.state.details import COMMIT_MESSAGE, SEVERAL
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.reading import hub_id, n_commits
from psrlib.state.running import STOPPED, job_status
from psrlib.state.schedule import Steps

T = TypeVar("T")
ARCHIVE_BYTES = 24_000_000  # uncompressed size of one import archive; request limits are unknown (section 13)
PIPELINE_ID = "dpm.pipeline.id"  # metadata key (4.4): the pipeline that a document is the next version of


def export_document(work: OrganizationWork, kind: str, entity: Any, commit: int) -> Json:
    """Return the export document of one commit of a pipeline, or of a fragment, with the hub's ids in it."""
    engine = work.knowledge.authoring_engine
    if kind == "fragments":
        config, rules = seed.fragment_definition(work.document, work.desired, entity)
        config["info"]["sdcId"] = engine["id"] if engine else config["info"]["sdcId"]
        return {"pipelineFragmentConfig": config, "pipelineRules": rules}
    config, rules = seed.pipeline_definition(work.document, work.desired, entity, commit)
    if entity.connection:
        config["metadata"][CONNECTIONS] = work.hub_id("connections", entity.connection)
    if entity.fragment:
        fragment = work.rows["fragments"][entity.fragment]
        for body in config["fragments"]:
            body["metadata"].update(
                {
                    PIPELINE_ID: fragment["pipelineId"],
                    "dpm.pipeline.commit.id": fragment["commitId"],
                    "dpm.pipeline.version": fragment["version"],
                }
            )
    config["info"]["sdcId"] = engine["id"] if engine else config["info"]["sdcId"]
    document: Json = {"pipelineConfig": config, "pipelineRules": rules}
    if work.knowledge.definition_size == "production":
        library = seed.library_definitions(work.document, work.desired, entity)
        document["libraryDefinitions"] = orjson.Fragment(library)
    return document


def batches(documents: Iterable[tuple[T, Json]]) -> list[list[tuple[T, bytes]]]:
    """Return named documents as JSON text, split into lists of at most ``ARCHIVE_BYTES``."""
    found: list[list[tuple[T, bytes]]] = []
    size = ARCHIVE_BYTES
    for name, document in documents:
        text = orjson.dumps(document)
        if size + len(text) > ARCHIVE_BYTES:
            found.append([])
            size = 0
        found[-1].append((name, text))
        size += len(text)
    return found


def commit_steps(work: OrganizationWork) -> Steps[None]:
    """Publish the versions that pipelines lack.

    One archive can hold several versions of many pipelines, where the hub makes a document whose metadata
    name a pipeline that pipeline's next version. The reference does not say so; the first document ever sent
    is a probe.
    """
    if work.found is not None:
        wrong = work.found.wrong_commits
        yield [partial(_cut, work, p, wrong[p.key] - 1) for p in work.desired.pipelines if p.key in wrong]
    lost = 0
    while behind := [p for p in work.desired.pipelines if _n_missing(work, p) > 0]:
        n_missing = sum(_n_missing(work, pipeline) for pipeline in behind)
        try:
            if work.knowledge.import_adds_versions is None:
                yield [partial(_probe, work, behind[0])]
                continue
            if work.knowledge.import_adds_versions:
                yield [partial(_import_all, work, behind)]
            else:
                yield [partial(_commit_next, work, pipeline) for pipeline in behind]
        except LostAnswerError as error:
            lost += 1
            work.lost()
            if lost == ATTEMPTS:
                raise HubUnreachableError(
                    f"{work.desired.id}: pipelines still lack versions after {lost} lost answers in a row"
                ) from error
            yield [partial(_look, work, lost)]
            if sum(_n_missing(work, pipeline) for pipeline in behind) < n_missing:
                lost = 0
        else:
            if sum(_n_missing(work, pipeline) for pipeline in behind) == n_missing:
                work.knowledge.import_adds_versions = False
    yield [partial(_cut, work, p, p.commits) for p in work.desired.pipelines if _n_missing(work, p) < 0]


def _n_missing(work: OrganizationWork, pipeline: Pipeline) -> int:
    """Return how many versions a pipeline lacks; negative when it has too many."""
    return pipeline.commits - n_commits(work.rows["pipelines"][pipeline.key])


def _versions(work: OrganizationWork, pipelines: Sequence[Pipeline]) -> Iterable[tuple[Pipeline, Json]]:
    for pipeline in pipelines:
        row = work.rows["pipelines"][pipeline.key]
        for number in range(n_commits(row) + 1, pipeline.commits + 1):
            yield pipeline, _next_version(work, pipeline, row, number)


def _next_version(work: OrganizationWork, pipeline: Pipeline, row: Json, number: int) -> Json:
    """Return the export document of a version, naming the pipeline it belongs to."""
    document = export_document(work, "pipelines", pipeline, number)
    document["pipelineConfig"]["metadata"][PIPELINE_ID] = hub_id("pipelines", row)
    return document


def _probe(work: OrganizationWork, pipeline: Pipeline) -> None:
    """Import one next version and see whether it became one; if it became a new pipeline, delete that.

    Other organizations wait meanwhile, and find the question answered.
    """
    with work.knowledge.lock:
        if work.knowledge.import_adds_versions is None:
            work.knowledge.import_adds_versions = _becomes_version(work, pipeline)


def _becomes_version(work: OrganizationWork, pipeline: Pipeline) -> bool:
    row = work.rows["pipelines"][pipeline.key]
    document = _next_version(work, pipeline, row, n_commits(row) + 1)
    store = work.admin.pipelinestore
    message = COMMIT_MESSAGE.format(n_commits(row) + 1)
    try:
        (made,) = store.import_pipelines({"0001.json": orjson.dumps(document)}, message)
    except HubError as error:
        if error.status != 400 and not is_absent(error):
            raise
        return False
    if hub_id("pipelines", made) == hub_id("pipelines", row):
        work.rows["pipelines"][pipeline.key] = made
        return True
    store.delete_pipeline(hub_id("pipelines", made))
    return False


def _import_all(work: OrganizationWork, behind: Sequence[Pipeline]) -> None:
    """Import the missing versions, archive by archive so that they stay in order."""
    for batch in batches(_versions(work, behind)):
        archive = {f"{i:05d}.json": text for i, (_, text) in enumerate(batch)}
        message = SEVERAL if len(batch) > 1 else COMMIT_MESSAGE.format(batch[0][0].commits)
        _note(work, work.admin.pipelinestore.import_pipelines(archive, message))


def _note(work: OrganizationWork, rows: Iterable[Json]) -> None:
    """Remember commits that are newer than the ones known."""
    keys = {hub_id("pipelines", row): key for key, row in work.rows["pipelines"].items()}
    for row in rows:
        key = keys.get(hub_id("pipelines", row))
        if key is not None and n_commits(row) > n_commits(work.rows["pipelines"][key]):
            work.rows["pipelines"][key] = row


def _commit_next(work: OrganizationWork, pipeline: Pipeline) -> None:
    """Publish one next version by the call made for it."""
    row = work.rows["pipelines"][pipeline.key]
    number = n_commits(row) + 1
    document = export_document(work, "pipelines", pipeline, number)
    message = COMMIT_MESSAGE.format(number)
    made = work.admin.pipelinestore.import_new_version(hub_id("pipelines", row), document, message)
    work.rows["pipelines"][pipeline.key] = {**row, **made}


def _cut(work: OrganizationWork, pipeline: Pipeline, last: int) -> None:
    """Delete the versions after ``last``, 0 for none: their requests came twice, late or in another order.

    Jobs that use such a version take the last good one instead; where one of them runs, nothing is deleted.
    """
    if not last or pipeline.key not in work.rows["pipelines"]:
        return
    id = hub_id("pipelines", work.rows["pipelines"][pipeline.key])
    log = sorted(work.admin.pipelinestore.log(id), key=n_commits)
    good = next((row for row in reversed(log) if n_commits(row) <= last), None)
    spare = [row for row in reversed(log) if n_commits(row) > last]
    spare_ids = {str(row["commitId"]) for row in spare}
    jobs = [] if work.found is None else work.found.rows["jobs"]
    users = [job for job in jobs if str(job.get("pipelineCommitId")) in spare_ids]
    if good is None or any(job_status(job) not in STOPPED for job in users):
        return
    for job in users:
        job |= {"pipelineCommitId": good["commitId"], "pipelineCommitLabel": f"v{good['version']}"}
        job["rulesId"] = rules_id(good)
        work.admin.jobrunner.update_job(job)
    for row in spare:
        work.admin.pipelinestore.delete_commit(str(row["commitId"]))
    work.rows["pipelines"][pipeline.key] = good
    work.count_change("pipelines")


def _look(work: OrganizationWork, lost: int) -> None:
    """Read which versions exist after a lost answer, the ``lost``-th one."""
    pause(lost)
    _note(work, work.admin.pipelinestore.pipelines())
