"""Variables get their values; unknown names stop the work."""

import msgspec
import pytest

from psrlib.errors import InputError
from psrlib.seed import SeedDocument, resolve_variables


def test_no_variable_is_left(rich_seed: SeedDocument) -> None:
    """Engines, subscriptions and connections hold values, defaults where nothing is given."""
    resolved = resolve_variables(rich_seed, {"webhook_url": "http://sink.example.com"})
    text = msgspec.json.encode(resolved.organizations).decode()
    assert "${" not in text
    assert "http://sink.example.com" in text
    assert "http://127.0.0.1:18630" in text
    assert resolved.variables["webhook_url"] == "http://sink.example.com"


def test_the_document_itself_stays(tiny_seed: SeedDocument) -> None:
    """Resolving makes a new document without digest; what holds no variable is shared with the old one."""
    before = msgspec.json.encode(tiny_seed)
    resolved = resolve_variables(msgspec.structs.replace(tiny_seed, sha256="x"))
    assert msgspec.json.encode(tiny_seed) == before
    assert resolved.sha256 is None
    assert resolved.organizations[0].pipelines is tiny_seed.organizations[0].pipelines


def test_an_unknown_variable_is_refused(tiny_seed: SeedDocument) -> None:
    """The message lists the variables there are."""
    with pytest.raises(InputError, match=r"unknown variable 'web_url'.*webhook_url"):
        resolve_variables(tiny_seed, {"web_url": "x"})


def test_a_text_with_an_unknown_variable_is_refused(tiny_seed: SeedDocument) -> None:
    """The message names the organization."""
    variables = {k: v for k, v in tiny_seed.variables.items() if k != "engine_host"}
    with pytest.raises(InputError, match=r'organization "org-0001": unknown variable \$\{engine_host\}'):
        resolve_variables(msgspec.structs.replace(tiny_seed, variables=variables))


def test_runtime_parameters_are_no_variables(tiny_seed: SeedDocument) -> None:
    """Only names of variables between braces are touched: expressions of pipelines keep their form."""
    engine = msgspec.structs.replace(
        tiny_seed.organizations[0].engines[0], url="http://${engine_host}:${2+2}"
    )
    organization = msgspec.structs.replace(tiny_seed.organizations[0], engines=[engine])
    document = msgspec.structs.replace(tiny_seed, organizations=[organization])
    assert resolve_variables(document).organizations[0].engines[0].url == "http://127.0.0.1:${2+2}"
