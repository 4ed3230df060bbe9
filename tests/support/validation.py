"""The validation rules of a Data Collector, replayed on a pipeline document (pipeline-json, section 7).

Written from the reference, not from ``psrlib.seed``: its table of stages is an independent one, so a wrong
configuration name in the generator is an unknown one here. Every violation is a line that starts with the
engine's own code.
"""

import re
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

DEV, BASIC = "streamsets-datacollector-dev-lib", "streamsets-datacollector-basic-lib"
PREFIX = "com_streamsets_pipeline_stage_"
NAME = re.compile(r"^[A-Za-z0-9_ ]+$")
EXPRESSION = re.compile(r"^\$\{.*\}$", re.S)
SYSTEM = {"stageOnRecordError", "stageRequiredFields", "stageRecordPreconditions"}
ON_ERROR = {"DISCARD", "TO_ERROR"}  # STOP_PIPELINE is legal for an engine; a pipeline of ours runs for ever
TYPES = {
    *("STRING", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN", "BYTE_ARRAY", "LONG_SEQUENCE"),
    *("DATE", "DATETIME", "ZONED_DATETIME", "TIME"),
}


@dataclass(frozen=True)
class Definition:
    """What an engine knows of a stage: its kind, newest version in 3.0, own configuration, output lanes."""

    kind: str
    library: str
    version: int
    own: frozenset[str] = frozenset()
    rows: tuple[tuple[str, frozenset[str]], ...] = ()
    lanes: int | None = 1  # None: as many as wanted
    system: frozenset[str] = frozenset(SYSTEM)
    events: bool = False


def definition(kind: str, library: str, version: int, own: str = "", **other: Any) -> Definition:
    return Definition(kind, library, version, frozenset(own.split()), **other)


def rows(**columns: str) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, frozenset(keys.split())) for name, keys in columns.items())


NOTHING: frozenset[str] = frozenset()
STAGES = {
    "devtest_RandomDataGeneratorSource": definition(
        "SOURCE",
        DEV,
        5,
        "dataGenConfigs rootFieldType headerAttributes delay batchSize numThreads eventName",
        rows=rows(dataGenConfigs="field type precision scale"),
        system=frozenset({"stageOnRecordError"}),
        events=True,
    ),
    "processor_identity_IdentityProcessor": definition("PROCESSOR", DEV, 1),
    "processor_delay_DelayProcessor": definition("PROCESSOR", BASIC, 1, "delay"),
    "processor_expression_ExpressionDProcessor": definition(
        "PROCESSOR",
        BASIC,
        2,
        "expressionProcessorConfigs headerAttributeConfigs fieldAttributeConfigs",
        rows=rows(
            expressionProcessorConfigs="fieldToSet expression",
            headerAttributeConfigs="attributeToSet headerAttributeExpression",
            fieldAttributeConfigs="fieldToSet attributeToSet fieldAttributeExpression",
        ),
    ),
    "processor_selector_SelectorDProcessor": definition(
        "PROCESSOR", BASIC, 1, "lanePredicates", rows=rows(lanePredicates="outputLane predicate"), lanes=None
    ),
    "processor_fieldfilter_FieldFilterDProcessor": definition(
        "PROCESSOR",
        BASIC,
        1,
        "filterOperation fields",
        system=frozenset({"stageRequiredFields", "stageRecordPreconditions"}),
    ),
    "processor_fieldrenamer_FieldRenamerDProcessor": definition(
        "PROCESSOR",
        BASIC,
        2,
        "renameMapping errorHandler.nonExistingFromFieldHandling errorHandler.existingToFieldHandling "
        "errorHandler.multipleFromFieldsMatching",
        rows=rows(renameMapping="fromFieldExpression toFieldExpression"),
    ),
    "processor_fieldmask_FieldMaskDProcessor": definition(
        "PROCESSOR",
        BASIC,
        1,
        "fieldMaskConfigs",
        rows=rows(fieldMaskConfigs="fields maskType mask regex groupsToShow"),
    ),
    "processor_fieldtypeconverter_FieldTypeConverterDProcessor": definition(
        "PROCESSOR",
        BASIC,
        2,
        "convertBy fieldTypeConverterConfigs",
        rows=rows(
            fieldTypeConverterConfigs="fields targetType treatInputFieldAsDate dataLocale scale "
            "decimalScaleRoundingStrategy dateFormat zonedDateTimeFormat encoding"
        ),
    ),
    "destination_devnull_NullDTarget": definition("TARGET", BASIC, 1, lanes=0, system=NOTHING),
    "executor_finishpipeline_PipelineFinisherDExecutor": definition("EXECUTOR", BASIC, 1, lanes=0),
}
FRAGMENT = "processor_fragment_FragmentProcessor"
HIDDEN = {
    "errorStage": {"destination_devnull_ToErrorNullDTarget"},
    "statsAggregatorStage": {
        "destination_devnull_StatsDpmDirectlyDTarget",
        "destination_devnull_StatsNullDTarget",
    },
    "startEventStages": {"destination_devnull_ToErrorNullDTarget"},
    "stopEventStages": {"destination_devnull_ToErrorNullDTarget"},
}


def violations(config: dict[str, Any]) -> list[str]:
    """Return what an engine of release 3.0 (3.4 with fragments) would complain about, and what ends a run."""
    found = list(_head(config))
    stages = _expanded(config, found)
    if not stages:
        return [*found, "VALIDATION_0001 no stage"]
    for stage in stages:
        found += _stage(stage)
    if not any("_0037" in line or "_0006" in line for line in found):
        found += _lanes(stages)
    found += _special(config)
    return found


def _value(entries: list[dict[str, Any]], name: str) -> Any:
    return next((entry["value"] for entry in entries if entry["name"] == name), None)


def _head(config: dict[str, Any]) -> list[str]:
    found = []
    newest = {5: (7, "3.0.0.0"), 6: (10, "3.4.0")}.get(config.get("schemaVersion", 0))
    if newest is None:
        return ["VALIDATION_0000 unknown schema version"]
    if config["version"] > newest[0]:
        found.append("CONTAINER_0902 version newer than the engine")
    if config["info"].get("sdcVersion") != newest[1]:
        found.append("VALIDATION_0096 sdcVersion")
    if ("fragments" in config) and config["schemaVersion"] < 6:
        found.append("schema 5 has no fragments")
    if not config.get("title"):
        found.append("VALIDATION_0093 empty title")
    uuid.UUID(config["uuid"])
    entries = config["configuration"]
    if _value(entries, "executionMode") != "STANDALONE":
        found.append("VALIDATION_0070 execution mode")
    if not re.fullmatch(r"[A-Za-z0-9-]+", config["pipelineId"]):
        found.append("pipelineId holds other characters than letters, digits and hyphens")
    if (_value(entries, "shouldRetry"), _value(entries, "retryAttempts")) != (True, -1):
        found.append("does not retry for ever")
    for constant in _value(entries, "constants") or []:
        if set(constant) != {"key", "value"} or not all(isinstance(v, str) and v for v in constant.values()):
            found.append(f"VALIDATION_0024 constant {constant}")
    return found


def _expanded(config: dict[str, Any], found: list[str]) -> list[dict[str, Any]]:
    """Put the stages of fragments in the place of the stages that stand for them."""
    stages = []
    for stage in config["stages"]:
        if stage["stageName"] != PREFIX + FRAGMENT:
            stages.append(stage)
            continue
        key = tuple(
            _value(stage["configuration"], name) for name in ("conf.fragmentId", "conf.fragmentInstanceId")
        )
        bodies = [f for f in config.get("fragments", []) if (f["fragmentId"], f["fragmentInstanceId"]) == key]
        if len(bodies) != 1:
            found.append(f"fragment {key} stands {len(bodies)} times in the document")
            continue
        if (bodies[0]["schemaVersion"], bodies[0]["version"]) != (2, 2):
            found.append("VALIDATION_0000 fragment version")
        uuid.UUID(bodies[0]["uuid"])
        stages += bodies[0]["stages"]
    return stages


def _stage(stage: dict[str, Any]) -> list[str]:
    name, short = stage["instanceName"], stage["stageName"].removeprefix(PREFIX)
    known = STAGES.get(short)
    if known is None or stage["library"] != known.library:
        hidden = short in {s for names in HIDDEN.values() for s in names}
        return [f"{name}: VALIDATION_{'0037' if hidden else '0006'} {short}"]
    found = []
    if not isinstance(stage["stageVersion"], str) or int(stage["stageVersion"]) > known.version:
        found.append("CONTAINER_0902 stage version")
    names = [entry["name"] for entry in stage["configuration"]]
    if set(names) - known.own - known.system:
        found.append(f"VALIDATION_0008 {set(names) - known.own - known.system}")
    if (known.own | known.system) - set(names) or len(names) != len(set(names)):
        found.append(f"VALIDATION_0007 {(known.own | known.system) - set(names)}")
    if any(entry["value"] is None for entry in stage["configuration"]):
        found.append("VALIDATION_0007 null value")
    for list_name, keys in known.rows:
        for row in _value(stage["configuration"], list_name) or []:
            if set(row) != keys or any(value is None for value in row.values()):
                found.append(f"VALIDATION_0008 {list_name}: {sorted(set(row) ^ keys)}")
    found += _values(stage, short)
    if stage["services"] != []:
        found.append("VALIDATION_0200 services")
    if not NAME.match(name):
        found.append("VALIDATION_0016 instance name")
    if not all(
        NAME.match(lane) for kind in ("inputLanes", "outputLanes", "eventLanes") for lane in stage[kind]
    ):
        found.append("VALIDATION_0017 lane name")
    outputs = len(stage["outputLanes"])
    if known.lanes is not None and outputs != known.lanes:
        found.append(f"VALIDATION_0015 {outputs} output lanes")
    if known.kind in ("SOURCE", "PROCESSOR") and not outputs:
        found.append("VALIDATION_0032 no output")
    if (known.kind == "SOURCE") == bool(stage["inputLanes"]):
        found.append("VALIDATION_0012 inputs")
    if len(stage["eventLanes"]) > known.events:
        found.append("VALIDATION_0102 event lane")
    ui = stage["uiInfo"]
    if ui["stageType"] != known.kind or not ui["label"] or not isinstance(ui["xPos"], int):
        found.append("uiInfo does not fit")
    return [f"{name}: {line}" for line in found]


def _values(stage: dict[str, Any], short: str) -> list[str]:
    """Check types and bounds, expressions and what would end the run."""
    found = []
    get = {entry["name"]: entry["value"] for entry in stage["configuration"]}.get
    if get("stageOnRecordError", "DISCARD") not in ON_ERROR:
        found.append("stops the pipeline on errors")
    for condition in get("stageRecordPreconditions") or []:
        if not EXPRESSION.match(condition):
            found.append("VALIDATION_0080 precondition")
    for number, least in (("delay", 0), ("batchSize", 1), ("numThreads", 1)):
        value = get(number)
        if value is not None and (type(value) is not int or value < least):
            found.append(f"VALIDATION_0034 {number}")
    for row in get("dataGenConfigs") or []:
        if row["type"] not in TYPES or not row["field"]:
            found.append(f"VALIDATION_0029 {row}")
    if short == "devtest_RandomDataGeneratorSource" and not get("dataGenConfigs"):
        found.append("VALIDATION_0007 no field")
    if short == "executor_finishpipeline_PipelineFinisherDExecutor":
        wanted = ["${record:eventType() == 'no-more-data'}"]
        if get("stageRecordPreconditions") != wanted or get("stageOnRecordError") != "DISCARD":
            found.append("a Finisher that can fire")
    for row in get("expressionProcessorConfigs") or []:
        if not EXPRESSION.match(row["expression"]) or not row["fieldToSet"].startswith("/"):
            found.append(f"VALIDATION_0030 {row}")
    if short == "processor_selector_SelectorDProcessor":
        predicates = get("lanePredicates") or []
        if [row["predicate"] == "default" for row in predicates] != [False] * (len(predicates) - 1) + [True]:
            found.append("SELECTOR_07 the last predicate is default")
        if not all(EXPRESSION.match(row["predicate"]) for row in predicates[:-1]):
            found.append("SELECTOR_08 predicate")
        if len(predicates) != len(stage["outputLanes"]):
            found.append("SELECTOR_01 as many predicates as lanes")
        for row in predicates:
            if sum(lane.endswith(row["outputLane"]) for lane in stage["outputLanes"]) != 1:
                found.append("SELECTOR_02 output lane")
    return found


def _lanes(stages: list[dict[str, Any]]) -> list[str]:
    found = []
    names = Counter(stage["instanceName"] for stage in stages)
    found += [f"VALIDATION_0005 {name} stands {n} times" for name, n in names.items() if n > 1]
    produced = Counter(lane for stage in stages for lane in stage["outputLanes"] + stage["eventLanes"])
    found += [f"VALIDATION_0010 {lane} is produced {n} times" for lane, n in produced.items() if n > 1]
    consumed = {lane for stage in stages for lane in stage["inputLanes"]}
    found += [f"VALIDATION_0002 {lane} is produced nowhere" for lane in consumed - set(produced)]
    found += [f"VALIDATION_0011 {lane} is consumed nowhere" for lane in set(produced) - consumed]
    suffixes = [(a, b) for a in produced for b in produced if a != b and a.endswith(b)]
    found += [f"SELECTOR_02 lane {a} ends with lane {b}" for a, b in suffixes]
    for stage in stages:
        for other in stages:
            if len(set(stage["outputLanes"]) & set(other["inputLanes"])) > 1:
                found.append(f"VALIDATION_0039 {stage['instanceName']} and {other['instanceName']}")
    return found + _order(stages)


def _order(stages: list[dict[str, Any]]) -> list[str]:
    """Sort by lanes; follow which stages are fed by data and which by events."""
    kinds = {s["instanceName"]: STAGES[s["stageName"].removeprefix(PREFIX)].kind for s in stages}
    if list(kinds.values()).count("SOURCE") != 1 or kinds[stages[0]["instanceName"]] != "SOURCE":
        return ["VALIDATION_0003 exactly one origin, at the first place"]
    lane_kind: dict[str, str] = {}
    remaining, found = list(stages), []
    while remaining:
        ready = [s for s in remaining if all(lane in lane_kind for lane in s["inputLanes"])]
        if not ready:
            return [*found, "VALIDATION_0002 cycle or disconnected stage"]
        for stage in ready:
            fed = {lane_kind[lane] for lane in stage["inputLanes"]}
            if len(fed) > 1:
                found.append(f"VALIDATION_0103 {stage['instanceName']} is fed by data and events")
            if not fed and kinds[stage["instanceName"]] != "SOURCE":
                found.append(f"VALIDATION_0014 {stage['instanceName']} is fed by nothing")
            for lane in stage["outputLanes"]:
                lane_kind[lane] = "event" if "event" in fed else "data"
            for lane in stage["eventLanes"]:
                lane_kind[lane] = "event"
            remaining.remove(stage)
    return found


def _special(config: dict[str, Any]) -> list[str]:
    found = []
    for position, allowed in HIDDEN.items():
        here = config.get(position)
        for stage in here if isinstance(here, list) else [here]:
            if stage is None:
                found.append(f"CREATION_009 {position} is missing")
            elif (
                stage["stageName"].removeprefix(PREFIX) not in allowed
                or stage["configuration"]
                or stage["inputLanes"]
                or stage["outputLanes"]
            ):
                found.append(f"CREATION_007 {position}")
        if isinstance(here, list) and len(here) > 1:
            found.append(f"VALIDATION_0105 {position}")
    names = {
        "badRecordsHandling": config["errorStage"],
        "statsAggregatorStage": config["statsAggregatorStage"],
        "startEventStage": config["startEventStages"][0],
        "stopEventStage": config["stopEventStages"][0],
    }
    for entry, stage in names.items():
        wanted = f"{stage['library']}::{stage['stageName']}::{stage['stageVersion']}"
        if _value(config["configuration"], entry) != wanted:
            found.append(f"{entry} names another stage than the one that stands there")
    return found
