"""Small pieces of JSON text, made once and used in many places."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import orjson

from psrlib.seed.draw import CODE_BITS
from psrlib.seed.vocabulary import LABELS, PARAMETERS, QUALIFIERS, TAGS

T = TypeVar("T")
PAIR = 1 << 20  # two numbers in one code: first * PAIR + second

ENGINE_PORT = 18630  # Data Collector's own default; engine n of an organization listens on 18630 + n
# Connection types of Control Hub with the configuration names of their stages; nothing contacts them
CONNECTIONS = (
    ("STREAMSETS_JDBC", {"connectionString": "jdbc:postgresql://${database_host}:5432/warehouse"}),
    ("STREAMSETS_AWS_S3", {"region": "${aws_region}", "bucket": "landing"}),
    ("STREAMSETS_SNOWFLAKE", {"account": "${snowflake_account}", "snowflakeRegion": "US_WEST_2"}),
    ("STREAMSETS_MYSQL", {"connectionString": "jdbc:mysql://${database_host}:3306/orders"}),
)
VARIABLES = {
    "engine_host": "127.0.0.1",
    "webhook_url": "http://127.0.0.1:18636/webhook",
    "database_host": "127.0.0.1",
    "aws_region": "us-west-2",
    "snowflake_account": "example",
}


def dumps(value: object) -> str:
    """Return canonical JSON text."""
    return orjson.dumps(value).decode()


@cache
def keys(kind: str, n: int) -> list[str]:
    """Return the first ``n`` keys of a kind, and more: callers round ``n`` up to share lists."""
    return [f"{kind}-{number:04d}" for number in range(1, n + 1)]


class Texts(dict[int, str]):
    """Texts made when first asked for; a look-up in this is what a writer does a million times."""

    def __init__(self, make: Callable[[int], str]) -> None:
        self._make = make

    def __missing__(self, code: int) -> str:
        self[code] = text = self._make(code)
        return text


def neighbours(words: Sequence[T], code: int) -> list[tuple[int, T]]:
    """Return what a code of `psrlib.seed.draw.code` stands for: (round, word) of neighbouring words."""
    start, n = code >> CODE_BITS, code & ((1 << CODE_BITS) - 1)
    return [((i // len(words)), words[(start + i) % len(words)]) for i in range(n)]


def word_list(words: Sequence[str]) -> Texts:
    """Return JSON lists of neighbouring words, each word once."""
    return Texts(lambda code: dumps([word for around, word in neighbours(words, code) if around == 0]))


def _parameters(code: int) -> list[tuple[str, str, str]]:
    """Return runtime parameters: name, value in the pipeline, other value."""
    return [
        (f"{name}_{around + 1}" if around else name, value, other)
        for around, (name, value, other) in neighbours(PARAMETERS, code)
    ]


LABEL_LISTS = word_list(LABELS)
TAG_LISTS = word_list(TAGS)
PARAMETER_MAPS = Texts(lambda code: dumps({name: value for name, value, _ in _parameters(code)}))
# what a job sets instead: the other value of its pipeline's first parameter
OVERRIDE_MAPS = Texts(lambda code: dumps({name: other for name, _, other in _parameters(code)[:1]}))
# last members of a pipeline, by a pair of numbers that count from 1, 0 for none
USES = Texts(lambda code: _uses(*divmod(code, PAIR)))
# status, labels, instances and tags of a job, by a pair of a pair (tags, instances) and active
RUNS = Texts(lambda code: _runs(*divmod(code >> 1, PAIR), bool(code & 1)))


def _uses(fragment: int, connection: int) -> str:
    first = f'"fragment-{fragment:04d}"' if fragment else "null"
    second = f'"connection-{connection:04d}"' if connection else "null"
    return f'"fragment":{first},"connection":{second}'


def _runs(tags: int, instances: int, active: bool) -> str:
    status = "ACTIVE" if active else "INACTIVE"
    return f'"status":"{status}","labels":["all"],"instances":{instances},"tags":{TAG_LISTS[tags]}'


class Logins(dict[str, str]):
    """The login names that names stand for, made when first asked for."""

    def __missing__(self, name: str) -> str:
        self[name] = login = name.lower().replace(" ", ".")
        return login


LOGINS = Logins()


def _qualifier(rank: int) -> str:
    if rank == 0:
        return ""
    cycle, word = divmod(rank - 1, len(QUALIFIERS))
    return f" ({QUALIFIERS[word]}{f' {cycle + 1}' if cycle else ''})"


QUALIFIED = Texts(_qualifier)  # what tells the jobs of one pipeline apart; nothing for the first
NUMBERED = Texts(lambda rank: f" #{rank + 1}" if rank else "")  # the same for what acts on one job


@cache
def group_list(start: int, m: int, n: int) -> str:
    """Return the keys of ``m`` neighbouring groups of ``n``."""
    return dumps([f"group-{(start + i) % n + 1:04d}" for i in range(min(m, n))])


def job_list(start: int, m: int, n: int) -> str:
    """Return the keys of ``m`` neighbouring jobs of ``n``."""
    return dumps([f"job-{(start + i) % n + 1:04d}" for i in range(m)])


@cache
def engine_list(n: int) -> str:
    """Return ``n`` engines."""
    return ",".join(
        f'{{"key":"engine-{i + 1:04d}","type":"COLLECTOR","url":"http://${{engine_host}}:{ENGINE_PORT + i}",'
        f'"labels":["all"]}}'
        for i in range(n)
    )
