"""A hub that answers badly on purpose: bare sockets, so that anything can be sent, as long as it is read."""

import asyncio
import gzip
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BLOCK = b" " * (1 << 16)
Bytes = Iterator[bytes]
Attack = Callable[[], Bytes]


def answer(body: bytes, more: bytes = b"") -> bytes:
    return OK + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def events(*rows: dict[str, object]) -> bytes:
    return json.dumps(
        [{"eventId": "e", "eventTypeId": 1999, "requiresAck": True, **row} for row in rows]
    ).encode()


def endless_body() -> Bytes:
    """A body without length or end."""
    return itertools.chain([OK + b"\r\n["], itertools.repeat(BLOCK))


def endless_chunks() -> Bytes:
    chunk = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)
    return itertools.chain([OK + b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(chunk))


def endless_headers() -> Bytes:
    lines = (b"X-%d: %b\r\n" % (number, b"x" * 4000) for number in itertools.count())
    return itertools.chain([OK], lines)


def endless_interim_answers() -> Bytes:
    return itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def bomb() -> Bytes:
    """A gigabyte of blanks in a megabyte of gzip, which nobody asked for."""
    return iter([_bomb()])


def long_lists() -> Bytes:
    """Ten megabytes that would be a gigabyte of lists."""
    return iter([_lists()])


def long_values() -> Bytes:
    """The same inside a pipeline's definition."""
    return iter([_values()])


def many_events() -> Bytes:
    """A hundred thousand events, each of which wants an acknowledgement."""
    return iter([_events()])


def large_pipelines() -> Bytes:
    """New pipelines with megabytes to keep, in every answer."""
    number = next(_numbers)
    rows = []
    for n in range(4):
        config = json.dumps({"uuid": "u", "title": "t", "metadata": {"m": "x" * 1_000_000}})
        documents = {"pipelineConfig": config, "pipelineRules": "{}"}
        name = f"p{number}-{n}:b:c"
        payload = json.dumps({"name": name, "pipelineConfigurationAndRules": documents})
        rows.append({"payload": payload, "eventTypeId": 1001})
    return iter([answer(events(*rows))])


def pushed_configuration() -> Bytes:
    """A megabyte of configuration to keep, under a new name in every answer."""
    payload = json.dumps({"configuration": {f"key-{next(_numbers)}": "x" * 1_000_000}})
    return iter([answer(events({"payload": payload, "eventTypeId": 1015}))])


_numbers = itertools.count()
ATTACKS: list[Attack] = [
    endless_body,
    endless_chunks,
    endless_headers,
    endless_interim_answers,
    bomb,
    long_lists,
    long_values,
    many_events,
    large_pipelines,
    pushed_configuration,
]


@cache  # made once: a thread that is busy with making them would not send
def _bomb() -> bytes:
    return answer(gzip.compress(b" " * (1 << 25)) * 32, b"Content-Encoding: gzip\r\n")


@cache
def _lists() -> bytes:
    return answer(events({"payload": "[" + "[]," * 3_000_000 + "[]]", "eventTypeId": 1001}))


@cache
def _values() -> bytes:
    lists = "[" + "[]," * 1_000_000 + "[]]"
    config = f'{{"uuid":"u","configuration":[{{"name":"x","value":{lists}}}],"metadata":{{"m":{lists}}}}}'
    documents = {"pipelineConfig": config, "pipelineRules": "{}"}
    payload = json.dumps({"name": "a:b:c", "pipelineConfigurationAndRules": documents})
    return answer(events({"payload": payload, "eventTypeId": 1001}))


@cache
def _events() -> bytes:
    return answer(events(*[{"payload": "{}"}] * 100_000))


class BadHub:
    """Registers engines as it should, and answers all else with one attack after the other.

    Runs in a thread while its context lasts; ``n_answers`` are counted by the name of the attack. Of an
    answer without end, ``most_bytes`` are sent.
    """

    def __init__(self, attacks: list[Attack], most_bytes: int = 1 << 26) -> None:
        self._turns = itertools.cycle(attacks)
        self._most_bytes = most_bytes
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self.url = ""
        self.sent_bytes = 0
        self.n_answers: Counter[str] = Counter()

    def __enter__(self) -> "BadHub":
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        conversations: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._converse(reader, writer))
            conversations.add(task)
            task.add_done_callback(conversations.discard)

        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports close in the loop's next rounds

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                await reader.readexactly(int(fields.get(b"content-length", b"0")))
                if b"/registration" in head:
                    writer.write(answer(b'{"configuration":{}}'))
                else:
                    await self._attack(writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the fleet has had enough
        finally:
            writer.transport.abort()

    async def _attack(self, writer: asyncio.StreamWriter) -> None:
        attack, sent = next(self._turns), 0
        self.n_answers[attack.__name__] += 1
        for part in attack():
            writer.write(part)
            sent += len(part)
            self.sent_bytes += len(part)
            await writer.drain()
            if sent > self._most_bytes:
                raise ConnectionError("enough of this one")
