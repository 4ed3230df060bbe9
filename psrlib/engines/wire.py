"""Names and shapes on the wire between an engine and the hub (engine-protocol, sections 3 to 6)."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import orjson

from psrlib.engines.identity import EngineIdentity

REGISTRATION = "/security/public-rest/v1/components/registration"
EVENTS = "/messaging/rest/v1/events"
METRICS = "/timeseries/rest/v1/metrics"
SYNC_HEARTBEAT = "/jobrunner/rest/v1/sdc/updateLastModifiedTime"
SYNC_STATUSES = "/jobrunner/rest/v1/job/pipelineStatusEvents"
SYNC_STATUS = "/jobrunner/rest/v1/job/pipelineStatusEvent"
SYNC_PROCESS_METRICS = "/jobrunner/rest/v1/sdc/processMetrics"

INFO, STATUS, STATUSES, PROCESS_METRICS, ACK = 2001, 2000, 2002, 2003, 5000
JOB_RUNNER = ["jobrunner-app"]
JOB_RUNNER_AND_TIMESERIES = ["jobrunner-app", "timeseries-app"]
TIMESERIES = ["timeseries-app"]
SYNC_MODE_KEY = "dpm.should.send.sync.events"

# The version must lie in the range the hub accepts (3.2); 3.22 is the last 3.x with a public release.
VERSION = "3.22.2"
BUILD_DATE = "2021-04-12T10:00:00Z"
BUILD_SHA = "9f2c0d3e5a"
JAVA_VERSION = "1.8.0_282-b08"
TOTAL_MEMORY_BYTES = 1_038_090_240
# What the pipelines of a seed document are made of; a real engine lists some hundreds.
STAGES = {
    "streamsets-datacollector-dev-lib": {
        "com_streamsets_pipeline_stage_devtest_RandomDataGeneratorSource": 5,
        "com_streamsets_pipeline_stage_devtest_RandomSource": 1,
        "com_streamsets_pipeline_stage_devtest_rawdata_RawDataDSource": 3,
        "com_streamsets_pipeline_stage_processor_identity_IdentityProcessor": 1,
    },
    "streamsets-datacollector-basic-lib": {
        "com_streamsets_pipeline_stage_processor_expression_ExpressionDProcessor": 2,
        "com_streamsets_pipeline_stage_processor_selector_SelectorDProcessor": 1,
        "com_streamsets_pipeline_stage_destination_devnull_NullDTarget": 1,
        "com_streamsets_pipeline_stage_destination_devnull_ToErrorNullDTarget": 1,
        "com_streamsets_pipeline_stage_destination_devnull_StatsDpmDirectlyDTarget": 1,
    },
}
_STAGE_LIST = [
    {"stageName": name, "stageVersion": version, "libraryName": library}
    for library, stages in STAGES.items()
    for name, version in stages.items()
]
NO_EVENTS = b"[]"
MAX_EVENTS = 20_000  # of one answer: each makes an acknowledgement

Id = Annotated[str, msgspec.Meta(max_length=1000)]


class ServerEvent(msgspec.Struct, rename="camel"):
    """An event from the hub; fields beyond these are ignored."""

    event_id: Id
    event_type_id: int
    payload: str | None = None
    requires_ack: bool = False


_event_decoder: msgspec.json.Decoder[list[ServerEvent]] = msgspec.json.Decoder(
    Annotated[list[ServerEvent], msgspec.Meta(max_length=MAX_EVENTS)]
)


class WrongTypeError(ValueError):
    """An answer that is JSON, but not what a hub answers to this call."""


class _Registered(msgspec.Struct):
    configuration: dict[str, str | None] = {}


_registered_decoder = msgspec.json.Decoder(_Registered)


def component_headers(identity: EngineIdentity) -> dict[str, str]:
    """Return the headers of an authenticated call; the third is the marker against forged requests."""
    return {
        "X-SS-App-Component-Id": identity.id,
        "X-SS-App-Auth-Token": identity.token,
        "X-Requested-By": "SDC",
        "Content-Type": "application/json",
    }


def registration_body(identity: EngineIdentity) -> bytes:
    """Return the body of the registration (3.2): token, component id and attributes."""
    attributes = {
        "baseHttpUrl": identity.url.rstrip("/"),
        "sdcJavaVersion": JAVA_VERSION,
        "sdcVersion": VERSION,
        "sdcBuildDate": BUILD_DATE,
        "sdcRepoSha": BUILD_SHA,
    }
    return orjson.dumps({"authToken": identity.token, "componentId": identity.id, "attributes": attributes})


def read_registered(content_type: str | None, body: bytes) -> dict[str, str | None]:
    """Return the configuration pushed in the answer to a registration.

    Raises
    ------
    ValueError
        When Data Collector could not read the answer: JSON announced but not there.
    TypeError
        When Data Collector would abort its start: another content type, or a null configuration.
    """
    if content_type is None:
        return {}
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise TypeError(f"content type {content_type!r} instead of application/json")
    try:
        return _registered_decoder.decode(body).configuration
    except RecursionError:
        raise TypeError("the answer is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise TypeError(f'expected {{"configuration": {{name: text}}}}, {error}') from error


def read_events(body: bytes) -> list[ServerEvent]:
    """Return the events of an answer to a poll.

    Raises
    ------
    ValueError
        When the body is not JSON; an empty one is an error for Data Collector too.
    WrongTypeError
        When it is JSON, but not an array of events.
    """
    try:
        return _event_decoder.decode(body)
    except RecursionError:
        raise WrongTypeError("JSON that is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise WrongTypeError(f"expected a JSON array of events, {error}") from error


def client_event(
    code: int, payload: Any, destinations: Sequence[str], event_id: str | None = None
) -> dict[str, Any]:
    """Return an event to the hub; ``payload`` is sent as text (4)."""
    return {
        "eventId": event_id or str(uuid.uuid4()),
        "destinations": destinations,
        "requiresAck": False,
        "ackEvent": code == ACK,
        "eventTypeId": code,
        "payload": orjson.dumps(payload).decode(),
        "orgId": None,
    }


def ack_event(event_id: str, status: str, message: str | None) -> dict[str, Any]:
    """Return an acknowledgement: it carries the id of the event it answers (7)."""
    return client_event(ACK, {"ackEventStatus": status, "message": message}, JOB_RUNNER, event_id)


def info_payload(identity: EngineIdentity) -> dict[str, Any]:
    """Return the engine description of event 2001 (6.1)."""
    return {
        "sdcId": identity.id,
        "httpUrl": identity.url,
        "javaVersion": JAVA_VERSION,
        "stageDefinitionList": _STAGE_LIST,
        "stageInfoList": _STAGE_LIST,
        "sdcBuildInfo": {
            "version": VERSION,
            "builtDate": "builder",  # a real engine has these two the wrong way round
            "builtBy": BUILD_DATE,
            "builtRepoSha": BUILD_SHA,
            "sourceMd5Checksum": "7d41f60a6f0e4c0f9b6f1f2f0f6a1c55",
        },
        "labels": identity.labels,
        "edge": False,
        "offsetProtocolVersion": 2,
        "deploymentId": None,
        "cspDeploymentId": identity.deployment or None,
        "totalMemory": TOTAL_MEMORY_BYTES,
    }


def statuses_payload(statuses: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return all pipeline states: event 2002, or the body of the same call in sync mode."""
    return {"pipelineStatusEventList": list(statuses)}
