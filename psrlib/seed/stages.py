"""Stages that need nothing outside the engine, as they stand in a pipeline document.

Names, versions and configuration are those of Data Collector 3.0, which every later 3.x engine upgrades
(pipeline-json, 2.2 and 4). Stages run for ever: no error stops the pipeline, nothing finishes it. What is
the same in every document is made once and shared by all of them: read it, do not change it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

Json = dict[str, Any]

DEV = "streamsets-datacollector-dev-lib"
BASIC = "streamsets-datacollector-basic-lib"
PREFIX = "com_streamsets_pipeline_stage_"
GRID_X_PX = 220  # the UI's own distance between stages
GRID_Y_PX = 120
LANE_MS = 1546300800000  # lane names end in a time; 2019-01-01 here, so that they are the same every time
DEVNULL = f"{PREFIX}destination_devnull_"
ERROR_STAGE = f"{DEVNULL}ToErrorNullDTarget"
STATS_STAGE = f"{DEVNULL}StatsDpmDirectlyDTarget"

# Fields of generated records: name and type; the types are known to every 3.x engine
FIELDS = (
    ("id", "LONG_SEQUENCE"),
    ("amount", "DECIMAL"),
    ("n", "INTEGER"),
    ("flag", "BOOLEAN"),
    ("name", "STRING"),
    ("region", "STRING"),
    ("created", "DATETIME"),
    ("score", "DOUBLE"),
    ("day", "DATE"),
    ("note", "STRING"),
    ("total", "LONG"),
    ("ratio", "FLOAT"),
)


def stage(
    name: str,
    kind: tuple[str, str, str],
    place: tuple[int, int],
    configuration: list[Json],
    inputs: list[str],
    outputs: list[str],
    label: str,
) -> Json:
    """Return a stage with a name that is unique in the pipeline, such as ``Trash_01``.

    ``kind`` is library, stage name without prefix, and version; ``place`` the column and row where the UI
    draws it with its ``label``; ``inputs`` and ``outputs`` are names of lanes.
    """
    library, short, version = kind
    return {
        "instanceName": name,
        "library": library,
        "stageName": PREFIX + short,
        "stageVersion": version,
        "configuration": configuration,
        "services": [],
        "uiInfo": {
            "label": label,
            "description": "",
            "xPos": 60 + GRID_X_PX * place[0],
            "yPos": 50 + GRID_Y_PX * place[1],
            "stageType": STAGE_TYPES.get(short, "PROCESSOR"),
        },
        "inputLanes": inputs,
        "outputLanes": outputs,
        "eventLanes": [],
    }


STAGE_TYPES = {
    "devtest_RandomDataGeneratorSource": "SOURCE",
    "destination_devnull_NullDTarget": "TARGET",
    "executor_finishpipeline_PipelineFinisherDExecutor": "EXECUTOR",
}


def entries(**values: Any) -> list[Json]:
    """Return configuration entries; a double underscore in a name stands for a dot."""
    return [{"name": name.replace("__", "."), "value": value} for name, value in values.items()]


@cache
def system_entries(on_error: str = "TO_ERROR", *preconditions: str) -> list[Json]:
    """Return the entries that processors, destinations and executors have besides their own."""
    return entries(
        stageOnRecordError=on_error, stageRequiredFields=[], stageRecordPreconditions=list(preconditions)
    )


def lane(name: str, number: int = 0) -> str:
    """Return the name of a stage's output lane."""
    return f"{name}OutputLane{LANE_MS}{number}"


def data_generator(name: str, n_fields: int, delay_ms: int, batch_size: int, with_events: bool) -> Json:
    """Return a Dev Data Generator: ``batch_size`` records every ``delay_ms`` until stopped."""
    configuration = entries(
        dataGenConfigs=_generated_fields(n_fields),
        rootFieldType="MAP",
        headerAttributes=[],
        delay=delay_ms,
        batchSize=batch_size,
        numThreads=1,
        eventName="generated-event",
        stageOnRecordError="DISCARD",
    )
    kind = (DEV, "devtest_RandomDataGeneratorSource", "5")
    result = stage(name, kind, (0, 0), configuration, [], [lane(name)], "Generator")
    return result | {"eventLanes": [f"{name}_EventLane"] if with_events else []}


@cache
def _generated_fields(n: int) -> list[Json]:
    return [{"field": field, "type": kind, "precision": 10, "scale": 2} for field, kind in FIELDS[:n]]


def trash(name: str, place: tuple[int, int], inputs: list[str]) -> Json:
    """Return a destination that throws records away."""
    return stage(name, (BASIC, "destination_devnull_NullDTarget", "1"), place, [], inputs, [], "Trash")


def finisher(name: str, place: tuple[int, int], inputs: list[str]) -> Json:
    """Return a Pipeline Finisher that never fires on a generator's events."""
    configuration = system_entries("DISCARD", "${record:eventType() == 'no-more-data'}")
    kind = (BASIC, "executor_finishpipeline_PipelineFinisherDExecutor", "1")
    return stage(name, kind, place, configuration, inputs, [], "Finish")


def selector(name: str, place: tuple[int, int], inputs: list[str], n_lanes: int) -> Json:
    """Return a Stream Selector whose last lane takes what no condition takes."""
    lanes = [lane(name, number) for number in range(n_lanes)]
    predicates = [
        {"outputLane": output, "predicate": f"${{record:value('/n') % {n_lanes} == {number}}}"}
        for number, output in enumerate(lanes[1:], start=1)
    ]
    predicates.append({"outputLane": lanes[0], "predicate": "default"})
    configuration = entries(lanePredicates=predicates) + system_entries()
    kind = (BASIC, "processor_selector_SelectorDProcessor", "1")
    return stage(name, kind, place, configuration, inputs, lanes, "Route")


@cache
def special_stage(name: str, short: str, label: str) -> Json:
    """Return a stage for one of the special positions (error, statistics, start and stop events)."""
    result = stage(name, (BASIC, f"destination_devnull_{short}", "1"), (0, 0), [], [], [], label)
    result["uiInfo"]["stageType"] = "TARGET"
    return result


def fragment_stage(
    name: str, place: tuple[int, int], inputs: list[str], fragment_id: str, instance: str, title: str
) -> Json:
    """Return the stage that stands for a fragment."""
    configuration = [
        {"name": "conf.fragmentId", "value": fragment_id},
        {"name": "conf.fragmentInstanceId", "value": instance},
    ]
    kind = (BASIC, "processor_fragment_FragmentProcessor", "1")
    return stage(name, kind, place, configuration, inputs, [lane(name)], title)


def delay(number: int, _: list[str]) -> list[Json]:
    """Configuration of Delay; short, so that no batch waits longer than the generator."""
    return entries(delay=10 * (1 + number % 10)) + system_entries()


def expression(number: int, parameters: list[str]) -> list[Json]:
    """Configuration of an Expression Evaluator: one computed field, and one per runtime parameter."""
    rows = [{"fieldToSet": "/computed", "expression": f"${{record:value('/n') + {number % 1000}}}"}]
    rows += [{"fieldToSet": f"/{name.lower()}", "expression": f"${{{name}}}"} for name in parameters]
    lists = entries(expressionProcessorConfigs=rows, headerAttributeConfigs=[], fieldAttributeConfigs=[])
    return lists + system_entries()


def remover(number: int, _: list[str]) -> list[Json]:
    """Configuration of a Field Remover, which has no entry for record errors."""
    return entries(filterOperation="REMOVE", fields=[f"/old_{number % 100}"]) + system_entries()[1:]


def renamer(number: int, _: list[str]) -> list[Json]:
    """Configuration of a Field Renamer that lets other records pass."""
    mapping = [{"fromFieldExpression": "/note", "toFieldExpression": f"/note_{number % 100}"}]
    return (
        entries(
            renameMapping=mapping,
            errorHandler__nonExistingFromFieldHandling="CONTINUE",
            errorHandler__existingToFieldHandling="REPLACE",
            errorHandler__multipleFromFieldsMatching="CONTINUE",
        )
        + system_entries()
    )


def constant(*own: Json) -> Callable[[int, list[str]], list[Json]]:
    """Return what configures a processor with the same entries always, and those that every one has."""
    return lambda _, __: [*own, *system_entries()]


MASK = {"fields": ["/name"], "maskType": "FIXED_LENGTH", "mask": "", "regex": "(.*)", "groupsToShow": "1"}
CONVERSION = {
    "fields": ["/n"],
    "targetType": "STRING",
    "treatInputFieldAsDate": False,
    "dataLocale": "en,US",
    "scale": -1,
    "decimalScaleRoundingStrategy": "ROUND_UNNECESSARY",
    "dateFormat": "YYYY_MM_DD",
    "zonedDateTimeFormat": "ISO_ZONED_DATE_TIME",
    "encoding": "UTF-8",
}
CONVERTER = "processor_fieldtypeconverter_FieldTypeConverterDProcessor"
TO_TEXT = constant(*entries(convertBy="BY_FIELD", fieldTypeConverterConfigs=[CONVERSION]))
HIDE = constant(*entries(fieldMaskConfigs=[MASK]))
# instance name, (library, stage name, version), configuration, weight of 16; the weights follow the shares
# of processors in public pipelines (pipeline-json, 9), those that need scripts or databases left out
PROCESSORS = (
    ("ExpressionEvaluator", (BASIC, "processor_expression_ExpressionDProcessor", "2"), expression, 7),
    ("FieldTypeConverter", (BASIC, CONVERTER, "2"), TO_TEXT, 3),
    ("FieldRemover", (BASIC, "processor_fieldfilter_FieldFilterDProcessor", "1"), remover, 2),
    ("FieldRenamer", (BASIC, "processor_fieldrenamer_FieldRenamerDProcessor", "2"), renamer, 1),
    ("FieldMasker", (BASIC, "processor_fieldmask_FieldMaskDProcessor", "1"), HIDE, 1),
    ("DevIdentity", (DEV, "processor_identity_IdentityProcessor", "1"), constant(), 1),
    ("Delay", (BASIC, "processor_delay_DelayProcessor", "1"), delay, 1),
)
PROCESSOR_OF_16 = [entry for entry in PROCESSORS for _ in range(entry[3])]
