"""docs/architecture.md tells of modules that exist."""

import re
from pathlib import Path

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


def test_a_named_module_exists() -> None:
    """Below psrlib, or below its hub."""
    for name in NAMED:
        stem = re.sub(r"\.\w+$", "", name)
        bases = [HOUSE / stem, HOUSE / "hub" / stem]
        assert any(base.with_suffix(".py").exists() or base.is_dir() for base in bases), name
