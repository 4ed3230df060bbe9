"""Registration and polls of one engine (engine-protocol, 3.2 and 3.3)."""

import logging
from collections import deque
from typing import Any

import orjson

from psrlib.engines import wire
from psrlib.engines.budget import EVENT_BYTES, BudgetError
from psrlib.engines.engine import STATUS_INTERVAL_MS, Engine
from psrlib.engines.events import UncheckedError, duration_ms, handle_event
from psrlib.engines.exchange import IO_ERROR, Answer, Lane, Request

logger = logging.getLogger(__name__)
ATTEMPTS = 5  # registration.retry.attempts
REGISTER_AGAIN_MS = 60_000  # in place of the log-ins that make a disconnected engine try again
REFUSALS = 3  # polls in a row answered 401 or 403 before the token counts as revoked
WRONG_ANSWERS = 3  # polls in a row answered with JSON that is no array of events before the engine stops
LONGEST_WAIT_MS = 60_000  # a longer Retry-After is cut to this


class PollLane(Lane):
    """The messaging of one engine: it registers, then polls, one exchange at a time.

    The events of an answer are worked off one after the other, each in its time, before the next poll.

    The first wait after registration leads to ``phase_ms``, the engine's place within the poll interval, so
    that a fleet's polls are spread evenly whatever the moment its engines registered.
    """

    def __init__(self, engine: Engine, phase_ms: int, start_ms: int) -> None:
        super().__init__(engine, start_ms)
        self.phase_ms = phase_ms
        self.last_status: int | None = None  # of the last poll
        self.fault: str | None = None  # what was wrong with a poll's answer of status 200
        self.was_late = False  # set by the fleet when a poll began an interval or more after its time
        self._events: deque[wire.ServerEvent] = deque()  # of the last answer, not worked off yet
        self._held_bytes = 0  # counted for that answer
        self._restart(start_ms)

    def _restart(self, now_ms: int) -> None:
        self._boots = self.engine.boots
        self._attempts = 0
        self._register_ms: int | None = now_ms
        self._full_ms: int | None = None
        self._first = True
        self._refusals = self._wrong_answers = 0
        self._events.clear()
        self._new_acks: list[dict[str, Any]] = []
        self._busy_until_ms = self._after_ms = 0
        self._sent: tuple[int, int, int, int, bool] = (0, 0, 0, 0, False)

    def next_request(self, now_ms: int) -> Request | None:
        """Return the registration or the poll that is due."""
        engine = self.engine
        engine.advance(now_ms)
        if engine.boots != self._boots:
            self._restart(now_ms)  # another process now: nothing is registered or told
        if engine.refusal is not None:
            self.due_ms = None
            return None
        if self._events and engine.state != "DOWN":
            self._work_off(now_ms)
            return None
        if engine.state != "UP":
            self.due_ms = engine.next_at_ms if engine.next_state is not None else None
            return None
        if self._register_ms is not None and self._register_ms <= now_ms:
            headers = {**self._headers, "X-Requested-By": "RestClient", "Accept": "application/json"}
            body = wire.registration_body(engine.identity)
            return Request("registration", engine.base_url, wire.REGISTRATION, headers, body)
        return Request("poll", engine.base_url, wire.EVENTS, self._headers, self._body(now_ms))

    def take_answer(self, request: Request, answer: Answer, now_ms: int) -> None:
        """Take the answer to a registration or a poll in."""
        if self.engine.boots != self._boots or self.engine.state == "DOWN":
            self.due_ms = now_ms  # the process that asked is gone, and the answer with it
        elif request.kind == "registration":
            self._take_registration(answer, now_ms)
        else:
            self._take_poll(answer, now_ms)

    # -- registration -------------------------------------------------------------------------------------

    def _take_registration(self, answer: Answer, now_ms: int) -> None:
        engine, status = self.engine, answer.status
        self._attempts += 1
        if status == 200:
            try:
                engine.push(wire.read_registered(answer.headers.get("Content-Type"), answer.body))
            except ValueError:  # JSON announced, none sent: a failed attempt
                self._retry_registration(now_ms)
                return
            except TypeError as error:
                self._refuse(f"registration: {error}")
                return
            engine.registered = True
            self._register_ms, self._attempts = None, 0
            self.due_ms = now_ms
        elif status in (IO_ERROR, 503):
            self._retry_registration(now_ms)
        elif status == 308 and answer.headers.get("Location") and self._attempts < ATTEMPTS:
            engine.base_url = "/".join(answer.headers["Location"].split("/", 3)[:3])
            self.due_ms = self._register_ms = now_ms
        elif status in (400, 403):
            text = answer.body[:300].decode(errors="replace")
            self._refuse(f"registration: HTTP {status} {text}")
        else:
            self._disconnect(now_ms)

    def _retry_registration(self, now_ms: int) -> None:
        if self._attempts >= ATTEMPTS:
            self._disconnect(now_ms)
        else:
            self.due_ms = self._register_ms = now_ms + 1000 * 2**self._attempts

    def _disconnect(self, now_ms: int) -> None:
        # Disconnected mode: the event task polls regardless, and registration is tried again now and then.
        self._attempts = 0
        self._register_ms = now_ms + REGISTER_AGAIN_MS
        self.due_ms = now_ms

    def _refuse(self, reason: str) -> None:
        self.engine.refusal = reason
        self.due_ms = None
        logger.warning(
            "engine %s of %s stops: %s", self.engine.identity.id, self.engine.identity.organization, reason
        )

    # -- polls --------------------------------------------------------------------------------------------

    def _body(self, now_ms: int) -> bytes:
        engine = self.engine
        full = self._full_ms is None or now_ms - self._full_ms > STATUS_INTERVAL_MS
        quiet = engine.info_accepted and not (full or engine.acks or engine.deletion_acks)
        if quiet and (engine.sync or not engine.changes):
            self._sent = (0, 0, 0, 0, False)
            return wire.NO_EVENTS
        events: list[dict[str, Any]] = [*engine.acks, *engine.deletion_acks]
        if not engine.info_accepted:
            events.append(wire.client_event(wire.INFO, wire.info_payload(engine.identity), wire.JOB_RUNNER))
        n_changes = 0
        if engine.sync:
            if full:
                figures = engine.process_metrics(now_ms)
                events.append(wire.client_event(wire.PROCESS_METRICS, figures, wire.TIMESERIES))
        elif full:
            statuses = wire.statuses_payload(engine.reports(now_ms))
            events.append(wire.client_event(wire.STATUSES, statuses, wire.JOB_RUNNER))
            figures = engine.process_metrics(now_ms)
            events.append(wire.client_event(wire.PROCESS_METRICS, figures, wire.JOB_RUNNER_AND_TIMESERIES))
        else:
            n_changes = len(engine.changes)
            events.extend(
                wire.client_event(wire.STATUS, change, wire.JOB_RUNNER) for change in engine.changes
            )
        self._sent = (len(engine.acks), len(engine.deletion_acks), n_changes, now_ms, full)
        return orjson.dumps(events)

    def _take_poll(self, answer: Answer, now_ms: int) -> None:
        engine = self.engine
        self.last_status, self.fault = answer.status, None
        if answer.status == 200:
            try:
                events = wire.read_events(answer.body)
                self._hold(len(answer.body) + EVENT_BYTES * len(events))
            except wire.WrongTypeError as error:
                self.last_status, self.fault = IO_ERROR, "wrong type of answer"
                self._wrong_answers += 1
                if self._wrong_answers >= WRONG_ANSWERS:
                    self._refuse(f"poll: {WRONG_ANSWERS} wrong answers in a row: {error!s:.200}")
                    return
            except ValueError as error:  # as if it had failed: all is told again
                too_much = isinstance(error, BudgetError)
                self.fault = "more than the fleet can hold" if too_much else "unreadable answer"
                self.last_status = IO_ERROR
                logger.info("engine %s: poll: %s", engine.identity.id, error)
            else:
                self._refusals = self._wrong_answers = 0
                self._forget_sent()
                self._events.extend(events)
                self._busy_until_ms, self._after_ms = now_ms, self._next_poll(answer, now_ms) - now_ms
                self._work_off(now_ms)
                return
        elif answer.status in (401, 403):
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self._refuse(f"poll: HTTP {answer.status} {REFUSALS} times in a row; the token is revoked")
                return
        self.due_ms = self._next_poll(answer, now_ms)

    def _hold(self, n_bytes: int) -> None:
        """Count what this answer makes the engine hold in place of the last one, or raise ValueError."""
        budget = self.engine.budget
        budget.give(self._held_bytes)
        self._held_bytes = 0
        budget.take(n_bytes)
        self._held_bytes = n_bytes

    def _work_off(self, now_ms: int) -> None:
        """Handle the events whose time has come; after the last one the next poll is due in its time."""
        engine = self.engine
        while self._events:
            done_ms = self._busy_until_ms + duration_ms(engine, self._events[0])
            if done_ms > now_ms:
                self.due_ms = done_ms
                return
            self._busy_until_ms = done_ms
            event = self._events.popleft()
            try:
                ack = handle_event(engine, event, now_ms)
            except UncheckedError as error:
                # Acks already sent are not forgotten then and go out again; those of this answer are lost.
                logger.warning(
                    "engine %s: event %d breaks off its answer: %s",
                    engine.identity.id,
                    event.event_type_id,
                    error,
                )
                self._events.clear()
                self._new_acks.clear()
                break
            if ack is not None:
                self._new_acks.append(ack)
        else:
            n_acks, n_deletion_acks = self._sent[:2]
            del engine.acks[:n_acks]
            del engine.deletion_acks[:n_deletion_acks]
            engine.acks.extend(self._new_acks)
            self._new_acks = []
        self.due_ms = self._busy_until_ms + self._after_ms

    def _forget_sent(self) -> None:
        engine = self.engine
        _, _, n_changes, sent_ms, full = self._sent
        engine.info_accepted = True
        for _ in range(n_changes):
            engine.changes.popleft()
        if full:
            self._full_ms = sent_ms
            for pipeline in engine.pipelines.values():
                pipeline.validation = None

    def _next_poll(self, answer: Answer, now_ms: int) -> int:
        interval = self.engine.interval_ms
        due = now_ms + interval
        if self._first:
            self._first = False
            due = now_ms + 1 + (self.phase_ms - now_ms - 1) % interval
        elif self.was_late:
            due += (self.phase_ms - due) % interval  # a backlog has bunched the fleet: back to its own place
        self.was_late = False
        if answer.status in (429, 503) and "Retry-After" in answer.headers:
            due = max(due, now_ms + _retry_after_ms(answer.headers["Retry-After"]))
        if self._register_ms is not None:
            due = min(due, max(self._register_ms, now_ms + 1))
        return due


def _retry_after_ms(text: str) -> int:
    text = text.strip()
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return min(int(text) * 1000, LONGEST_WAIT_MS) if is_number else 0
