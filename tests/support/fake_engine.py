"""The engine's side of the conversation with the hub, one call at a time."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from support.in_process import Answer, InProcess


@dataclass
class FakeEngine:
    """The engine's side of the conversation, one call at a time (engine-protocol.md)."""

    driver: InProcess
    token: str
    kind: str
    labels: tuple[str, ...]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    pipelines: dict[str, str] = field(default_factory=dict)
    inbox: list[dict[str, Any]] = field(default_factory=list)  # handed out with reports, not obeyed yet

    @property
    def headers(self) -> dict[str, str]:
        """What an engine says of itself with each call."""
        return {
            "X-Requested-By": "SDC",
            "X-SS-App-Component-Id": self.id,
            "X-SS-App-Auth-Token": self.token,
        }

    def register(self) -> Answer:
        body = {
            "authToken": self.token,
            "componentId": self.id,
            "attributes": {"baseHttpUrl": f"http://{self.id}:18630", "sdcVersion": "3.22.2"},
        }
        path = "/security/public-rest/v1/components/registration"
        answer = self.driver.raw("POST", path, {"X-Requested-By": "test"}, json.dumps(body).encode())
        assert answer.status == 200, answer.content
        return answer

    def send(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answer = self.driver.raw(
            "POST", "/messaging/rest/v1/events", self.headers, json.dumps(events).encode()
        )
        assert answer.status == 200, answer.content
        return list(answer.json())

    def send_metrics(self, job: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Upload the metrics of a job's pipeline (engine-protocol.md, 3.5)."""
        body = [{"metadata": {"dpm.job.id": job["id"]}, "metrics": metrics}]
        path = "/timeseries/rest/v1/metrics"
        assert self.driver.raw("POST", path, self.headers, json.dumps(body).encode()).status == 200

    def event(self, kind: int, payload: dict[str, Any], event_id: str | None = None) -> dict[str, Any]:
        return {
            "eventId": event_id or str(uuid.uuid4()),
            "destinations": ["jobrunner-app"],
            "requiresAck": False,
            "ackEvent": kind == 5000,
            "eventTypeId": kind,
            "payload": json.dumps(payload),
            "orgId": None,
        }

    def announce(self, **more: Any) -> list[dict[str, Any]]:
        info = {
            "sdcId": self.id,
            "httpUrl": f"http://{self.id}:18630",
            "javaVersion": "1.8",
            "sdcBuildInfo": {"version": "3.22.2"},
            "labels": list(self.labels),
            "edge": self.kind == "dc-edge",
            "offsetProtocolVersion": 2,
            "totalMemory": 1000,
        }
        return self.send([self.event(2001, info | more)])

    def poll(self) -> list[dict[str, Any]]:
        return self.send([])

    def ack(
        self, event: dict[str, Any], status: str = "SUCCESS", message: str | None = None
    ) -> dict[str, Any]:
        return self.event(5000, {"ackEventStatus": status, "message": message}, event["eventId"])

    def report(self, *statuses: tuple[str, str], full: bool = False, **more: Any) -> list[dict[str, Any]]:
        """Report (name, state) pairs as single events, or all of them as the full list."""
        rows = [self.status(name, state, **more) for name, state in statuses]
        if full:
            handed = self.send([self.event(2002, {"pipelineStatusEventList": rows})])
        else:
            handed = self.send([self.event(2000, row) for row in rows])
        self.inbox += handed
        return handed

    def status(self, name: str, state: str, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "title": name.split(":")[0],
            "rev": "0",
            "timeStamp": self.driver.clock(),
            "remote": True,
            "pipelineStatus": state,
            "message": None,
            "issues": "null",
            "offset": None,
            "offsetProtocolVersion": 2,
        } | more

    def run(self) -> list[dict[str, Any]]:
        """Poll, obey what is handed out, and acknowledge it; return the events obeyed."""
        handed, self.inbox = [*self.inbox, *self.poll()], []
        answers = []
        for event in handed:
            name = json.loads(event["payload"])["name"]
            if event["eventTypeId"] == 1003:
                self.pipelines[name] = "RUNNING"
                answers.append(self.event(2000, self.status(name, "RUNNING")))
            elif event["eventTypeId"] in (1006, 1009):
                self.pipelines.pop(name, None)
                answers.append(self.event(2000, self.status(name, "DELETED", title=None)))
            answers.insert(0, self.ack(event))
        if answers:
            self.inbox += self.send(answers)
        return handed
