"""What an engine keeps of the pipeline definition a hub sends: enough to report and to make metrics."""

from typing import Any

import msgspec

STATS_TO_HUB = "com_streamsets_pipeline_stage_destination_devnull_StatsDpmDirectlyDTarget"
DEFAULT_METRICS_PERIOD_MS = 15_000  # when UPDATE_WAIT_TIME_MS is null (engine-protocol, 8)


class StageShape(msgspec.Struct, frozen=True, array_like=True):
    """A stage instance and its output lanes."""

    name: str
    lanes: tuple[str, ...]


class Definition(msgspec.Struct, frozen=True):
    """The kept part of a definition; ``metadata`` are its string entries, echoed with the metrics.

    ``metrics_period_ms`` is 0 when the constant is missing (only the first and the last upload happen) and -1
    when the pipeline sends no metrics to the hub.
    """

    title: str | None
    stages: tuple[StageShape, ...]
    job_id: str  # constant JOB_ID
    commit_id: str  # PIPELINE_COMMIT_ID
    time_series: bool  # TIME_SERIES_ANALYSIS
    metrics_period_ms: int
    metadata: dict[str, str]


class _Value(msgspec.Struct):
    name: str
    value: Any = None


class _Stage(msgspec.Struct, rename="camel"):
    instance_name: str = ""
    stage_name: str = ""
    output_lanes: tuple[str, ...] | None = ()


class _Config(msgspec.Struct, rename="camel"):
    title: str | None = None
    configuration: list[_Value] | None = None
    stages: list[_Stage] | None = None
    stats_aggregator_stage: _Stage | None = None
    metadata: dict[str, Any] | None = None


_config_decoder = msgspec.json.Decoder(_Config)


def read_definition(text: str) -> Definition:
    """Read a pipeline definition (engine-protocol, 8).

    Raises
    ------
    ValueError
        When the text is not a pipeline definition.
    """
    config = _config_decoder.decode(text)
    constants = _constants(config)
    aggregator = config.stats_aggregator_stage
    period = constants.get("UPDATE_WAIT_TIME_MS", 0)
    if aggregator is not None and aggregator.stage_name != STATS_TO_HUB:
        period = -1
    elif period is None:
        period = DEFAULT_METRICS_PERIOD_MS
    return Definition(
        title=config.title,
        stages=tuple(StageShape(s.instance_name, s.output_lanes or ()) for s in config.stages or ()),
        job_id=str(constants.get("JOB_ID") or ""),
        commit_id=str(constants.get("PIPELINE_COMMIT_ID") or ""),
        time_series=bool(constants.get("TIME_SERIES_ANALYSIS") or False),
        metrics_period_ms=int(period),
        metadata={key: value for key, value in (config.metadata or {}).items() if isinstance(value, str)},
    )


def _constants(config: _Config) -> dict[str, Any]:
    for entry in config.configuration or ():
        if entry.name == "constants" and isinstance(entry.value, list):
            return {item["key"]: item.get("value") for item in entry.value if "key" in item}
    return {}
