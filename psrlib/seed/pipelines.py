"""Pipeline documents: what the numbers of a pipeline record become on a Control Hub.

The same record always gives the same document. A document is valid for every Data Collector 3.x: the rules
of pipeline-json, section 7, are replayed on generated documents in ``tests/support/validation.py``.
"""

import hashlib
import uuid
from dataclasses import dataclass, field

import orjson

from psrlib.seed import stages
from psrlib.seed.document import Fragment, Organization, Pipeline, SeedDocument
from psrlib.seed.stages import BASIC, LANE_MS, Json, entries, lane, special_stage

# versions of the document, and of the engine that wrote it
PORTABLE = ({"schemaVersion": 5, "version": 7}, "3.0.0.0")  # read by every 3.x engine
WITH_FRAGMENTS = ({"schemaVersion": 6, "version": 10}, "3.4.0")  # fragments came with schema 6
FRAGMENT_VERSIONS = {"schemaVersion": 2, "version": 2}
CONNECTIONS = "dpm.pipeline.connections"  # metadata key: ids of connections, joined by commas
NO_ENGINE = "SYSTEM_SDC_ID"  # author of what was made without an engine (control-hub-rest, 4.2)
DISCARD = f"{BASIC}::{stages.ERROR_STAGE}::1"
NOTE = "Reads, checks and passes on; see the run book before changing anything here. "
DAY_MS = 86_400_000
DELAYS_MS = (5_000, 10_000, 15_000, 20_000)  # between batches: engines hardly feel a pipeline
CHANGES = (
    *("first version", "smaller batches", "new computed field", "review findings"),
    *("renamed fields", "tuned delay", "fixed a condition", "clean-up"),
)
MAX_LANES = 12  # widest selector among public pipelines (pipeline-json, 9)


class Choices:
    """Small numbers that a document's name fixes; each question gets its own."""

    def __init__(self, *name: object) -> None:
        self._name = "/".join(map(str, name))

    def number(self, question: str, n: int) -> int:
        """Return a number of 0 to ``n - 1``."""
        return int.from_bytes(self._digest(question)[:8], "little") % n

    def uuid(self, question: str) -> str:
        """Return a version-4 UUID."""
        return str(uuid.UUID(bytes=self._digest(question), version=4))

    def _digest(self, question: str) -> bytes:
        return hashlib.blake2b(f"{self._name}/{question}".encode(), digest_size=16).digest()


@dataclass
class Canvas:
    """Stages being laid out; ``lane`` is where the next stage reads, ``column`` where it is drawn."""

    choices: Choices
    parameters: list[str]
    commit: int
    prefix: str = ""
    lane_number: int = 0  # ends lane names; another one in fragments, so that no lane ends like another
    stages: list[Json] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """Return the next instance name of a kind, such as ``Trash_02``."""
        self.numbers[kind] = self.numbers.get(kind, 0) + 1
        return f"{self.prefix}{kind}_{self.numbers[kind]:02d}"

    def add(self, stage: Json) -> Json:
        """Add a stage and return it."""
        self.stages.append(stage)
        return stage

    def trash(self, place: tuple[int, int], inputs: list[str]) -> None:
        """Add a destination that throws records away."""
        self.add(stages.trash(self.name("Trash"), place, inputs))

    def processor(self, place: tuple[int, int], inputs: list[str]) -> str:
        """Add a processor and return its output lane."""
        position = len(self.stages)
        chosen, kind, configure, _ = stages.PROCESSOR_OF_16[self.choices.number(f"stage {position}", 16)]
        name = self.name(chosen)
        output = lane(name, self.lane_number)
        number = self.choices.number(f"value {position}", 1000) + self.commit
        parameters = self.parameters if chosen == "ExpressionEvaluator" else []
        self.add(stages.stage(name, kind, place, configure(number, parameters), inputs, [output], chosen))
        return output

    def chain(self, n: int, column: int, row: int, start: str) -> tuple[str, int]:
        """Add ``n`` processors one after the other; return the last lane and the next column."""
        for _ in range(n):
            start = self.processor((column, row), [start])
            column += 1
        return start, column


def pipeline_definition(
    document: SeedDocument, organization: Organization, pipeline: Pipeline, commit: int
) -> tuple[Json, Json]:
    """Return the documents of one commit of a pipeline: ``pipelineConfig`` and ``pipelineRules``.

    Variables of the document may be resolved or not. Commits (1 to ``pipeline.commits``) differ in
    description, generator settings and computed values.

    Raises
    ------
    ValueError
        If the pipeline has no such commit.
    """
    if not 1 <= commit <= pipeline.commits:
        raise ValueError(f'pipeline "{pipeline.key}" has commits 1 to {pipeline.commits}, not {commit}')
    choices = _choices(document, organization, pipeline)
    versions, sdc_version = WITH_FRAGMENTS if pipeline.fragment else PORTABLE
    canvas, fragments = _lay_out(document, organization, pipeline, commit, choices)
    identity = {
        "pipelineId": _engine_side_id(pipeline.name, choices),
        "title": pipeline.name,
        "description": f"{pipeline.name}; commit {commit}: {_change(choices, commit)}",
        "uuid": choices.uuid(f"commit {commit}"),
    }
    metadata = {"labels": list(pipeline.labels), CONNECTIONS: pipeline.connection or ""}
    config = {
        **versions,
        **identity,
        "configuration": _pipeline_configuration(pipeline.parameters),
        "uiInfo": {},
        "fragments": fragments,
        "stages": canvas.stages,
        "errorStage": special_stage("Discard_ErrorStage", "ToErrorNullDTarget", "Error Records - Discard"),
        "statsAggregatorStage": special_stage(
            "statsAggregatorStageInstance", "StatsDpmDirectlyDTarget", "Statistics - to Control Hub"
        ),
        "testOriginStage": None,
        **{
            f"{event.lower()}EventStages": [
                special_stage(f"Discard_{event}EventStage", "ToErrorNullDTarget", f"{event} Event - Discard")
            ]
            for event in ("Start", "Stop")
        },
        "info": _info(identity, metadata, pipeline.owner, organization, choices, commit, sdc_version),
        "metadata": metadata,
        **_no_issues(),
    }
    if not pipeline.fragment:
        del config["fragments"]  # schema 5 has no such field
    _fill(config, pipeline.definition_bytes)
    return config, _rules(choices.uuid(f"rules {commit}"))


def _fill(config: Json, n_bytes: int) -> None:
    """Make a definition that large, by notes on its stages, which engines keep and never read.

    Real definitions are larger than these: their stages have many more settings.
    """
    missing = n_bytes - len(orjson.dumps(config))
    if missing > 0:
        n_stages = len(config["stages"])
        for number, stage in enumerate(config["stages"]):
            length = missing // n_stages + (number < missing % n_stages)
            stage["uiInfo"]["description"] = (NOTE * (length // len(NOTE) + 1))[:length]


def fragment_definition(
    document: SeedDocument, organization: Organization, fragment: Fragment
) -> tuple[Json, Json]:
    """Return the documents of a fragment: ``pipelineFragmentConfig`` and ``pipelineRules``."""
    choices = _choices(document, organization, fragment)
    body = _fragment_body(document, organization, fragment, f"{fragment.key}_01", "input", "output")
    return body, _rules(choices.uuid("rules"))


def _lay_out(
    document: SeedDocument, organization: Organization, pipeline: Pipeline, commit: int, choices: Choices
) -> tuple[Canvas, list[Json]]:
    """Place the stages: generator, processors, a selector where there are branches, event consumer."""
    canvas = Canvas(choices, list(pipeline.parameters), commit)
    origin = canvas.add(
        stages.data_generator(
            canvas.name("DevDataGenerator"),
            3 + choices.number("fields", 10),
            DELAYS_MS[(choices.number("delay", 4) + commit) % 4],
            10 * (1 + (choices.number("batch", 10) + commit) % 10),
            pipeline.event_lane,
        )
    )
    n_processors = pipeline.stages - 1 - pipeline.branches - pipeline.event_lane
    current, column, fragments = origin["outputLanes"][0], 1, []
    if pipeline.fragment:
        fragment = next(f for f in organization.fragments if f.key == pipeline.fragment)
        current, body = _use_fragment(document, organization, fragment, canvas, current)
        fragments, column, n_processors = [body], 2, n_processors - 1
    if pipeline.branches > 1 and n_processors > 0:
        _branch_out(canvas, pipeline.branches, n_processors, column, current)
    else:
        current, column = canvas.chain(n_processors, column, 0, current)
        for row in range(pipeline.branches):
            canvas.trash((column, row), [current])
    if pipeline.event_lane:
        place, events = (1, pipeline.branches + 1), origin["eventLanes"]
        if choices.number("executor", 2):
            canvas.add(stages.finisher(canvas.name("PipelineFinisher"), place, events))
        else:
            canvas.trash(place, events)
    return canvas, fragments


def _branch_out(canvas: Canvas, n_branches: int, n_processors: int, column: int, current: str) -> None:
    """Put a selector behind some processors, the other processors on its lanes, a destination on each."""
    before = canvas.choices.number("before", n_processors)
    current, column = canvas.chain(before, column, 0, current)
    n_lanes = min(n_branches, MAX_LANES)
    route = canvas.add(stages.selector(canvas.name("StreamSelector"), (column, 0), [current], n_lanes))
    after = n_processors - 1 - before
    for row, output in enumerate(route["outputLanes"]):
        share = after // n_lanes + (row < after % n_lanes)
        end, last = canvas.chain(share, column + 1, row, output)
        canvas.trash((last, row), [end])
    for row in range(n_lanes, n_branches):
        canvas.trash((column, row), [current])


def _use_fragment(
    document: SeedDocument, organization: Organization, fragment: Fragment, canvas: Canvas, current: str
) -> tuple[str, Json]:
    """Add the stage that stands for a fragment; return its output lane and the fragment's body."""
    instance = f"{''.join(filter(str.isalnum, fragment.name))}_01"
    name = canvas.name(instance.removesuffix("_01"))
    body = _fragment_body(document, organization, fragment, instance, current, lane(name))
    place, identifier = (1, 0), body["fragmentId"]
    canvas.add(stages.fragment_stage(name, place, [current], identifier, instance, fragment.name))
    return lane(name), body


def _fragment_body(
    document: SeedDocument,
    organization: Organization,
    fragment: Fragment,
    instance: str,
    first_lane: str,
    last_lane: str,
) -> Json:
    """Return a fragment; its first stage reads ``first_lane``, its last one writes ``last_lane``.

    An engine puts these stages in the place of the fragment's stage before it validates.
    """
    choices = _choices(document, organization, fragment)
    canvas = Canvas(choices, [], 1, prefix=f"{instance}_", lane_number=1)
    canvas.chain(fragment.stages, 0, 0, first_lane)
    canvas.stages[-1]["outputLanes"] = [last_lane]
    identity = {
        "fragmentId": _engine_side_id(fragment.name, choices),
        "fragmentInstanceId": instance,
        "title": fragment.name,
        "description": "",
        "uuid": choices.uuid("commit 1"),
    }
    metadata = {"labels": list(fragment.labels)}
    info = {
        "pipelineId": identity["fragmentId"],
        **_info(identity, metadata, fragment.owner, organization, choices, 1, WITH_FRAGMENTS[1]),
    }
    return {
        **FRAGMENT_VERSIONS,
        **identity,
        "configuration": entries(executionMode="STANDALONE", constants=[]),
        "uiInfo": {},
        "stages": canvas.stages,
        "fragments": [],
        "testOriginStage": None,
        "info": info,
        "metadata": metadata,
        **_no_issues(),
    }


def _choices(document: SeedDocument, organization: Organization, entity: Pipeline | Fragment) -> Choices:
    return Choices(document.provenance.random_seed, organization.id, entity.key)


def _pipeline_configuration(parameters: dict[str, str]) -> list[Json]:
    """Return the pipeline-level entries; see pipeline-json, 2.1, for the reason of each value."""
    return entries(
        executionMode="STANDALONE",
        deliveryGuarantee="AT_LEAST_ONCE",
        startEventStage=DISCARD,
        stopEventStage=DISCARD,
        shouldRetry=True,
        retryAttempts=-1,
        notifyOnStates=["RUN_ERROR", "STOPPED", "FINISHED"],
        emailIDs=[],
        webhookConfigs=[],
        constants=[{"key": name, "value": value} for name, value in parameters.items()],
        badRecordsHandling=DISCARD,
        errorRecordPolicy="ORIGINAL_RECORD",
        statsAggregatorStage=f"{BASIC}::{stages.STATS_STAGE}::1",
        rateLimit=0,
        maxRunners=0,
        shouldCreateFailureSnapshot=False,
    )


def _no_issues() -> Json:
    """Return what an engine writes into a definition that it found valid (pipeline-json, 2)."""
    issues = {"stageIssues": {}, "pipelineIssues": [], "issueCount": 0}
    return {"issues": issues, "valid": True, "previewable": True}


def _info(
    identity: Json,
    metadata: Json,
    owner: str,
    organization: Organization,
    choices: Choices,
    commit: int,
    sdc_version: str,
) -> Json:
    """Return what a definition says of itself; its metadata are those of the definition, the same map."""
    creator = next(user.id for user in organization.users if user.key == owner)
    created = LANE_MS + choices.number("day", 365) * DAY_MS
    return {
        **{key: value for key, value in identity.items() if not key.startswith("fragment")},
        "name": identity["title"],
        "created": created,
        "lastModified": created + (commit - 1) * DAY_MS,
        "creator": creator,
        "lastModifier": creator,
        "lastRev": "0",
        "valid": True,
        "metadata": metadata,
        "sdcVersion": sdc_version,
        "sdcId": NO_ENGINE,
    }


def _engine_side_id(name: str, choices: Choices) -> str:
    """Return the letters of the title and a UUID, as an engine makes pipeline ids (pipeline-json, 1.1)."""
    return "".join(filter(str.isalnum, name))[:10] + choices.uuid("id")


def _change(choices: Choices, commit: int) -> str:
    return CHANGES[0] if commit == 1 else CHANGES[1 + choices.number(f"change {commit}", len(CHANGES) - 1)]


def _rules(identifier: str) -> Json:
    """Return the rules every new pipeline has: four metric alerts, all disabled (pipeline-json, 5)."""
    return {
        "schemaVersion": 3,
        "version": 2,
        "metricsRuleDefinitions": METRIC_RULES,
        "dataRuleDefinitions": [],
        "driftRuleDefinitions": [],
        "uuid": identifier,
        "configuration": entries(emailIDs=[], webhookConfigs=[]),
        "ruleIssues": [],
        "configIssues": [],
    }


MANY = ("COUNTER", "COUNTER_COUNT", "${value() > 100}")
ERRORS, MESSAGES = "pipeline.batchErrorRecords.counter", "pipeline.batchErrorMessages.counter"
GAUGE = ("RuntimeStatsGauge.gauge", "GAUGE")
IDLE = ("TIME_OF_LAST_RECEIVED_RECORD", "${time:now() - value() > 120000}")
SLOW = ("CURRENT_BATCH_AGE", "${value() > 200}")
ALERT_FIELDS = ("id", "alertText", "metricId", "metricType", "metricElement", "condition")
METRIC_RULES = [
    dict(zip(ALERT_FIELDS, alert, strict=True)) | {"sendEmail": False, "enabled": False, "timestamp": LANE_MS}
    for alert in (
        ("badRecordsAlertID", "High incidence of Error Records", ERRORS, *MANY),
        ("stageErrorAlertID", "High incidence of Stage Errors", MESSAGES, *MANY),
        ("idleGaugeID", "Pipeline is Idle", *GAUGE, *IDLE),
        ("batchTimeAlertID", "Batch taking more time to process", *GAUGE, *SLOW),
    )
]
