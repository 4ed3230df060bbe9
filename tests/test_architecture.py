"""docs/architecture.md tells of modules that exist."""

import re
from pathlib import Path

import pytest

import psrlib

HOUSE = Path(psrlib.__file__).parent
PAGE = (HOUSE.parent / "docs" / "architecture.md").read_text()
# what is named with a path: `web/hub`, `seed/jobs.py`, `apps/messaging`, `web/records.show`
NAMED = sorted(
    {
        name
        for name in re.findall(r"`([a-z_]+(?:/[a-z_.]+)+)`", PAGE)
        if not name.startswith(("data/", "tests/"))
    }
)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_module_exists(name: str) -> None:
    """Below psrlib, or below its hub."""
    stem = re.sub(r"\.\w+$", "", name)
    found = [
        base / stem
        for base in (HOUSE, HOUSE / "hub")
        if (base / f"{stem}.py").exists() or (base / stem).is_dir()
    ]
    assert found
