"""A Control Hub that only records: it checks every request against the protocol reference.

Field names and rules are written out again here, after engine-protocol.md, and share nothing with
``psrlib.engines``: a wrong name there must fail here.
"""

import json
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import cramjam

REGISTRATION = "/security/public-rest/v1/components/registration"
EVENTS = "/messaging/rest/v1/events"
METRICS = "/timeseries/rest/v1/metrics"
SYNC = "/jobrunner/rest/v1/"
NEXT = {
    None: {"STARTING"},
    "EDITED": {"STARTING", "DELETED"},
    "STARTING": {"RUNNING", "START_ERROR", "STARTING_ERROR", "STOPPING", "DISCONNECTING", "STOPPED"},
    "STARTING_ERROR": {"START_ERROR", "STOPPING_ERROR", "RETRY"},
    "RUNNING": {"FINISHING", "STOPPING", "RUNNING_ERROR", "DISCONNECTING"},
    "RUNNING_ERROR": {"RETRY", "RUN_ERROR", "STOPPING_ERROR"},
    "RETRY": {"STARTING", "STOPPING", "DISCONNECTING"},
    "FINISHING": {"FINISHED", "STOPPING_ERROR"},
    "STOPPING": {"STOPPED", "STOPPING_ERROR"},
    "STOPPING_ERROR": {"START_ERROR", "RUN_ERROR", "STOP_ERROR", "RETRY"},
    "DISCONNECTING": {"DISCONNECTED"},
    "DISCONNECTED": {"CONNECTING", "STARTING", "RETRY"},
    "STOPPED": {"STARTING", "DELETED"},
    "FINISHED": {"STARTING", "DELETED"},
    "START_ERROR": {"STARTING", "DELETED"},
    "RUN_ERROR": {"STARTING", "DELETED"},
    "STOP_ERROR": {"STARTING", "DELETED"},
    "DELETED": {"STARTING"},
    "KILLED": set(),
    "CONNECTING": {"STARTING", "DISCONNECTING", "RETRY"},
    "CONNECT_ERROR": set(),
}
ENVELOPE = {"eventId", "destinations", "requiresAck", "ackEvent", "eventTypeId", "payload", "orgId"}
INFO = {
    "sdcId",
    "httpUrl",
    "javaVersion",
    "stageDefinitionList",
    "stageInfoList",
    "sdcBuildInfo",
    "labels",
    "edge",
    "offsetProtocolVersion",
    "deploymentId",
    "cspDeploymentId",
    "totalMemory",
}
STATUS = {
    "name": str,
    "title": (str, type(None)),
    "rev": str,
    "timeStamp": int,
    "remote": bool,
    "pipelineStatus": str,
    "message": (str, type(None)),
    "validationStatus": (str, type(None)),
    "issues": str,
    "workerInfos": list,
    "clusterMode": bool,
    "offset": (str, type(None)),
    "offsetProtocolVersion": int,
    "acl": type(None),
    "runnerCount": int,
}
DESTINATIONS = {
    2000: ["jobrunner-app"],
    2001: ["jobrunner-app"],
    2002: ["jobrunner-app"],
    2003: ["jobrunner-app", "timeseries-app"],
    5000: ["jobrunner-app"],
}
METER = {"count", "m1_rate", "m5_rate", "m15_rate", "m30_rate", "h1_rate", "h6_rate", "h12_rate", "h24_rate"}
METER |= {"mean_rate", "units"}
HISTOGRAM = {"count", "max", "mean", "min", "p50", "p75", "p95", "p98", "p99", "p999", "stddev"}
TIMER = HISTOGRAM | {"m1_rate", "m5_rate", "m15_rate", "mean_rate", "duration_units", "rate_units"}
SHAPES = {
    "counters": (".counter", {"count"}),
    "meters": (".meter", METER),
    "histograms": (".histogramM5", HISTOGRAM),
    "timers": (".timer", TIMER),
    "gauges": (".gauge", {"value"}),
}


class BrokenProtocolError(AssertionError):
    """A request that a real hub would not get from a real engine."""


def check(condition: object, text: str, found: Any = None) -> None:
    if not condition:
        raise BrokenProtocolError(f"{text}: {found!r}")


@dataclass
class Recorded:
    """One request as it came."""

    path: str
    component: str
    body: Any
    at_ms: int
    status: int


@dataclass
class Seen:
    """What is known of one engine."""

    token: str
    info: dict[str, Any] | None = None
    delivered: dict[str, int] = field(default_factory=dict)  # event id -> code, not acknowledged yet
    acks: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)  # pipeline -> last state of a 2000
    since: dict[str, int] = field(default_factory=dict)
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)
    last_poll_ms: int | None = None
    last_full_ms: int | None = None
    told_info: bool = False


class Recorder:
    """Hands out queued events, remembers what comes in, and raises on the first broken rule.

    ``faults`` maps a path to statuses to answer instead, one after the other; status 0 means no answer.
    ``tokens`` maps component ids to the token that is right for them.
    """

    def __init__(self, tokens: dict[str, str], *, interval_ms: int = 5000, sync: bool = False) -> None:
        self.tokens = tokens
        self.interval_ms = interval_ms
        self.sync = sync
        self.revoked: set[str] = set()
        self.outbox: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self.faults: dict[str, deque[int]] = defaultdict(deque)
        self.requests: list[Recorded] = []
        self.engines: dict[str, Seen] = {}
        self.violations: list[str] = []
        self.keep = True  # whether ``requests`` grows

    def put(
        self, component: str, code: int, payload: Any, *, event_id: str | None = None, ack: bool = True
    ) -> str:
        """Queue a server event; return its id. A payload that is a string is sent as it is."""
        event_id = event_id or f"{uuid.uuid4()}:org-0001"
        text = payload if isinstance(payload, str) or payload is None else json.dumps(payload)
        self.outbox[component].append(
            {
                "eventId": event_id,
                "from": "jobrunner-app",
                "requiresAck": ack,
                "ackEvent": False,
                "eventTypeId": code,
                "payload": text,
                "receivedTime": 0,
                "orgId": "org-0001",
            }
        )
        return event_id

    def take(self, path: str, headers: Any, body: bytes | None, now_ms: int) -> tuple[int, bytes]:
        """Check and record a request; return status and body of the answer."""
        try:
            return self._take(path, {key.lower(): value for key, value in headers.items()}, body, now_ms)
        except BrokenProtocolError as error:
            self.violations.append(f"{path}: {error}")
            raise

    def _take(self, path: str, headers: dict[str, str], body: bytes | None, now_ms: int) -> tuple[int, bytes]:
        component = headers.get("x-ss-app-component-id", "")
        token = headers.get("x-ss-app-auth-token", "")
        check(component and token and headers.get("x-requested-by"), "headers of an engine", sorted(headers))
        check(uuid.UUID(component).version == 1 and component == component.lower(), "version-1 id", component)
        check(headers.get("content-type", "application/json") == "application/json", "content type", headers)
        fault = self.faults[path].popleft() if self.faults[path] else 200
        if self.tokens.get(component) != token or component in self.revoked:
            fault = 401
        parsed = self._parse(path, headers, component, token, body)
        if self.keep:
            self.requests.append(Recorded(path, component, parsed, now_ms, fault))
        if fault != 200:
            return fault, b'{"ISSUES":[{"code":"SSO_01","message":"User not authenticated"}]}'
        if path == REGISTRATION:
            self._registered(component, token)
            pushed = {"dpm.should.send.sync.events": "true"} if self.sync else {}
            return 200, json.dumps({"configuration": pushed}).encode()
        check(component in self.engines, "registration comes first", component)
        if path == EVENTS:
            return 200, self._poll(self.engines[component], component, parsed, now_ms)
        if path == METRICS:
            self._metrics(self.engines[component], component, parsed)
        else:
            self._sync_call(self.engines[component], path, parsed)
        return 200, b""

    def _parse(
        self, path: str, headers: dict[str, str], component: str, token: str, body: bytes | None
    ) -> Any:
        if path == REGISTRATION:
            check(headers["x-requested-by"] == "RestClient", "marker of registration", headers)
            registration = json.loads(body or b"null")
            check(
                set(registration) == {"authToken", "componentId", "attributes"}, "registration", registration
            )
            check(registration["authToken"] == token and registration["componentId"] == component, "identity")
            attributes = registration["attributes"]
            names = {"baseHttpUrl", "sdcJavaVersion", "sdcVersion", "sdcBuildDate", "sdcRepoSha"}
            check(set(attributes) == names, "attributes", sorted(attributes))
            check(not attributes["baseHttpUrl"].endswith("/"), "no trailing slash", attributes["baseHttpUrl"])
            check(attributes["sdcVersion"].startswith("3."), "version in range", attributes["sdcVersion"])
            return registration
        check(headers["x-requested-by"] == "SDC", "marker of messaging", headers["x-requested-by"])
        if path == METRICS:
            check(headers.get("content-encoding") == "snappy", "encoding of metrics", headers)
            return json.loads(bytes(cramjam.snappy.decompress(body or b"")))
        if path == EVENTS:
            events = json.loads(body or b"null")
            check(isinstance(events, list), "array of events", events)
            return events
        check(path.startswith(SYNC), "path", path)
        return json.loads(body) if body else None

    def _registered(self, component: str, token: str) -> None:
        seen = self.engines.setdefault(component, Seen(token))
        # a new process: it tells everything again, and acknowledgements of the old one are lost
        seen.info, seen.told_info, seen.last_full_ms, seen.last_poll_ms = None, False, None, None
        seen.delivered.clear()
        seen.states.clear()
        seen.totals.clear()

    def _poll(self, seen: Seen, component: str, events: list[dict[str, Any]], now_ms: int) -> bytes:
        if seen.last_poll_ms is not None:
            # the first wait leads to the engine's place in the interval, later ones last the whole interval
            second = seen.last_poll_ms == seen.last_full_ms and seen.told_info
            check(
                second or now_ms - seen.last_poll_ms >= self.interval_ms - 1,
                "poll period",
                now_ms - seen.last_poll_ms,
            )
        seen.last_poll_ms = now_ms
        codes = [event.get("eventTypeId") for event in events]
        self._check_order(seen, codes, now_ms)
        for event in events:
            self._event(seen, component, event)
        if 2001 in codes:
            seen.told_info = True
        if 2003 in codes:
            seen.last_full_ms = now_ms
        answer = list(self.outbox[component])
        self.outbox[component].clear()
        seen.delivered.update({event["eventId"]: event["eventTypeId"] for event in answer})
        return json.dumps(answer).encode()

    def _check_order(self, seen: Seen, codes: list[Any], now_ms: int) -> None:
        rank = {5000: 0, 2001: 1, 2002: 2, 2003: 3, 2000: 4}
        check(all(code in rank for code in codes), "event codes", codes)
        check([rank[c] for c in codes] == sorted(rank[c] for c in codes), "order of events", codes)
        check(
            not (2002 in codes and 2000 in codes), "single changes wait for the poll after a full one", codes
        )
        check(codes.count(2001) <= 1 and codes.count(2002) <= 1 and codes.count(2003) <= 1, "repeats", codes)
        check((2002 in codes) == (2003 in codes) or self.sync, "2002 with 2003", codes)
        if not seen.told_info:
            check(2001 in codes and 2003 in codes, "first poll", codes)
        elif 2003 in codes and seen.last_full_ms is not None:
            check(now_ms - seen.last_full_ms > 60_000, "status interval", now_ms - seen.last_full_ms)
        else:
            late = now_ms - (seen.last_full_ms or now_ms)
            check(late <= 60_000 + 4 * self.interval_ms, "full status each minute", late)

    def _event(self, seen: Seen, component: str, event: dict[str, Any]) -> None:
        check(set(event) == ENVELOPE, "envelope", sorted(event))
        code = event["eventTypeId"]
        check(event["requiresAck"] is False and event["ackEvent"] is (code == 5000), "flags", event)
        check(event["orgId"] is None and isinstance(event["payload"], str), "payload is text", event)
        expected = ["timeseries-app"] if self.sync and code == 2003 else DESTINATIONS[code]
        check(event["destinations"] == expected, "destinations", event["destinations"])
        payload = json.loads(event["payload"])
        if code == 5000:
            check(set(payload) == {"ackEventStatus", "message"}, "ack", payload)
            check(payload["ackEventStatus"] in ("SUCCESS", "ERROR", "IGNORE"), "ack status", payload)
            check(event["eventId"] in seen.delivered, "ack of an event that was delivered", event["eventId"])
            del seen.delivered[event["eventId"]]
            seen.acks[event["eventId"]] = payload
            return
        uuid.UUID(event["eventId"])
        if code == 2001:
            check(set(payload) == INFO, "info", sorted(payload))
            check(payload["sdcId"] == component and payload["edge"] is False, "info", payload["sdcId"])
            check(payload["stageDefinitionList"] == payload["stageInfoList"], "stage lists are the same")
            check(payload["offsetProtocolVersion"] == 2 and isinstance(payload["totalMemory"], int), "info")
            build = payload["sdcBuildInfo"]
            check(
                not build["builtDate"].startswith("20") and build["builtBy"].startswith("20"), "build", build
            )
            seen.info = payload
        elif code == 2002:
            check(not self.sync and set(payload) == {"pipelineStatusEventList"}, "2002", sorted(payload))
            for status in payload["pipelineStatusEventList"]:
                self._status(seen, status, single=False)
        elif code == 2000:
            check(not self.sync, "no 2000 in sync mode")
            self._status(seen, payload, single=True)
        else:
            self._process_metrics(component, payload)

    def _status(self, seen: Seen, status: dict[str, Any], *, single: bool) -> None:
        check(set(status) == set(STATUS), "status fields", sorted(status))
        for name, kind in STATUS.items():
            check(isinstance(status[name], kind), f"type of {name}", status[name])
        name, state = status["name"], status["pipelineStatus"]
        check(state in NEXT, "state", state)
        check("__" not in name and name.count(":") >= 2, "name with colons", name)
        check(status["remote"] is True and status["clusterMode"] is False, "flags", status)
        check(status["workerInfos"] == [] and status["offsetProtocolVersion"] == 2, "defaults", status)
        json.loads(status["issues"])
        gone = status["title"] is None  # a change told after the pipeline was deleted
        check(gone or state != "DELETED", "title", status["title"])
        check(single or not gone, "a full report has titles", status)
        check(not single or status["validationStatus"] is None, "validation is told in full reports", status)
        if status["offset"] is not None:
            offset = json.loads(status["offset"])
            check(offset["version"] == 2 and isinstance(offset["offsets"], dict), "offset", offset)
        check(
            bool(status["runnerCount"]) == (state in ("RUNNING", "STOPPING", "FINISHING") and not gone),
            "runners",
            status,
        )
        if single:
            before = seen.states.get(name)
            if before is not None or state == "STARTING":
                check(state in NEXT[before] or before is None, f"change from {before}", state)
            check(status["timeStamp"] >= seen.since.get(name, 0), "order of changes", name)
            seen.states[name], seen.since[name] = state, status["timeStamp"]
            if not seen.history or seen.history[-1] != (name, state):
                seen.history.append((name, state))
                del seen.history[:-1000]

    def _process_metrics(self, component: str, payload: dict[str, Any]) -> None:
        check(set(payload) == {"timestamp", "sdcId", "cpuLoad", "usedMemory"}, "2003", sorted(payload))
        check(payload["sdcId"] == component and 0 <= payload["cpuLoad"] <= 100, "2003", payload)
        check(payload["usedMemory"] > 0 and isinstance(payload["timestamp"], int), "2003", payload)

    def _metrics(self, seen: Seen, component: str, body: Any) -> None:
        check(isinstance(body, list) and len(body) == 1, "array of one", body)
        record = body[0]
        names = {"timestamp", "sdcId", "masterSdcId", "aggregated", "metadata", "metrics"}
        check(set(record) == names, "metrics record", sorted(record))
        check(record["sdcId"] == component and record["masterSdcId"] is None, "metrics of", record["sdcId"])
        check(record["aggregated"] is False, "aggregated", record["aggregated"])
        metadata = record["metadata"]
        fixed = {"dpm.job.id", "dpm.pipeline.commitId", "timeSeriesAnalysis"}
        check(
            fixed <= set(metadata) and all(isinstance(v, str) for v in metadata.values()),
            "metadata",
            metadata,
        )
        registry = record["metrics"]
        check(set(registry) == {"version", "slaves", *SHAPES}, "registry", sorted(registry))
        check(
            registry["version"] == "4.0.0" and len(registry["gauges"]) == 87, "registry", registry["version"]
        )
        for kind, (suffix, fields) in SHAPES.items():
            for name, value in registry[kind].items():
                check(name.endswith(suffix) and set(value) == fields, f"{kind} {name}", value)
        for name, value in registry["counters"].items():
            key = (metadata["dpm.job.id"], name)
            batches = registry["counters"]["pipeline.batchCount.counter"]["count"]
            check(
                value["count"] >= seen.totals.get(key, 0) or batches < 120, "totals never fall in a run", name
            )
            seen.totals[key] = value["count"]

    def _sync_call(self, seen: Seen, path: str, body: Any) -> None:
        check(self.sync, "sync calls only when asked for", path)
        name = path.removeprefix(SYNC)
        if name == "sdc/updateLastModifiedTime":
            check(body is None, "heartbeat has no body", body)
        elif name == "job/pipelineStatusEvents":
            check(set(body) == {"pipelineStatusEventList"}, "statuses", body)
            for status in body["pipelineStatusEventList"]:
                self._status(seen, status, single=False)
        elif name == "job/pipelineStatusEvent":
            self._status(seen, body, single=True)
        else:
            check(name == "sdc/processMetrics", "path", path)
            self._process_metrics(body["sdcId"], body)
