"""What a document or a model from a stranger may say at most: numbers, texts, and what becomes file names.

Each bound is far above what production shows, and far below what would take a machine's memory.
"""

import re
from typing import Annotated

from msgspec import Meta

MAX_ENTITIES = 100_000  # of a kind in an organization; usual limits of pipelines and jobs are 10,000
MAX_STAGES = 1000  # of a pipeline; the longest public one has 42
MAX_COMMITS = 1000  # of a pipeline; each is a whole definition
MAX_DEFINITION_BYTES = 10_000_000  # of a pipeline; the largest public one has 1.4 million
MAX_PARAMETERS = 1000  # of a pipeline or job
MAX_WORDS = 1000  # labels, tags, roles, groups of an entity, or jobs of a topology
MAX_INSTANCES = 10_000  # of a job
MAX_INTEGER = 2**63 - 1  # what every JSON reader can hold
MAX_NAME = 255  # characters of a name
MAX_TEXT = 2000  # characters of any other text
MAX_KEY = 100  # characters of a key, or of an id of an organization

# Keys and ids of organizations become names of files and folders. The end of each pattern refuses a line
# break there, which ``$`` alone lets pass.
_KEY = r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)"
_LOGIN = r"^[^\s/\\\"]+@[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)"
_LINE = r"^[^\x00-\x1f\x7f]*$(?!\n)"
_NAME = r"^(?=.*\S)[^\x00-\x1f\x7f]*$(?!\n)"
_NO_NUL = r"^[^\x00]*$"
PATTERNS = {
    _KEY: "of letters, digits, dots, underscores and dashes that begins with a letter or digit",
    _LOGIN: "<name>@<organization> without white space, slashes and quotes",
    _LINE: "without line breaks and other control characters",
    _NAME: "that is not blank, without line breaks and other control characters",
    _NO_NUL: "without the character NUL",
}

Key = Annotated[str, Meta(max_length=MAX_KEY, pattern=_KEY)]
Login = Annotated[str, Meta(max_length=2 * MAX_KEY, pattern=_LOGIN)]  # id of a user or group
Name = Annotated[str, Meta(max_length=MAX_NAME, pattern=_NAME)]
Line = Annotated[str, Meta(max_length=MAX_TEXT, pattern=_LINE)]
Text = Annotated[str, Meta(max_length=MAX_TEXT, pattern=_NO_NUL)]
Keys = Annotated[list[Key], Meta(max_length=MAX_WORDS)]
Words = Annotated[list[Name], Meta(max_length=MAX_WORDS)]
Texts = Annotated[dict[Name, Text], Meta(max_length=MAX_PARAMETERS)]


def in_words(fault: str) -> str:
    """Return what msgspec says of a text, the expression that it does not match said in words."""
    for pattern, words in PATTERNS.items():
        fault = fault.replace(f"matching regex {pattern!r}", words)
    return fault


def is_key(text: str) -> bool:
    """Return whether a text may be a key, and with it the name of a file.

    Examples
    --------
    >>> is_key("engine-0001"), is_key("../../x"), is_key("..")
    (True, False, False)
    """
    return len(text) <= MAX_KEY and re.search(_KEY, text) is not None
