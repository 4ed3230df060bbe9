"""Small pieces of JSON text, made once and used in many places."""

from functools import cache

import orjson

from psrlib.seed.vocabulary import LABELS, PARAMETERS, QUALIFIERS, TAGS

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


@cache
def word_list(words: tuple[str, ...], start: int, n: int) -> str:
    """Return a JSON list of ``n`` neighbouring words, all of them if there are fewer."""
    return dumps([words[(start + i) % len(words)] for i in range(min(n, len(words)))])


@cache
def parameter_names(start: int, n: int) -> list[tuple[str, str, str]]:
    """Return ``n`` runtime parameters: name, value in the pipeline, other value."""
    rounds = [PARAMETERS[(start + i) % len(PARAMETERS)] for i in range(n)]
    return [
        (name if i < len(PARAMETERS) else f"{name}_{i // len(PARAMETERS) + 1}", value, other)
        for i, (name, value, other) in enumerate(rounds)
    ]


@cache
def parameter_map(start: int, n: int) -> str:
    """Return the runtime parameters of a pipeline as JSON."""
    return dumps({name: value for name, value, _ in parameter_names(start, n)})


@cache
def override_map(start: int, n: int) -> str:
    """Return what a job sets instead: the other value of the pipeline's first parameter."""
    return dumps({name: other for name, _, other in parameter_names(start, min(n, 1))})


@cache
def qualifier(rank: int) -> str:
    """Return what tells the jobs of one pipeline apart; nothing for the first."""
    if rank == 0:
        return ""
    cycle, word = divmod(rank - 1, len(QUALIFIERS))
    return f" ({QUALIFIERS[word]}{f' {cycle + 1}' if cycle else ''})"


def label_list(start: int, n: int) -> str:
    """Return pipeline labels as JSON."""
    return word_list(LABELS, start % len(LABELS), n) if n else "[]"


def tag_list(start: int, n: int) -> str:
    """Return job tags as JSON."""
    return word_list(TAGS, start % len(TAGS), n) if n else "[]"


def pipeline_parameters(start: int, n: int) -> str:
    """Return runtime parameters as JSON."""
    return parameter_map(start % len(PARAMETERS), n) if n else "{}"


def job_parameters(start: int, n: int) -> str:
    """Return what a job overrides as JSON."""
    return override_map(start % len(PARAMETERS), n) if n else "{}"


@cache
def number_key(kind: str, number: int) -> str:
    """Return the key of an entity as JSON, ``null`` for -1."""
    return "null" if number < 0 else f'"{kind}-{number + 1:04d}"'


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
