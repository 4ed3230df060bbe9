"""Identity files and their privacy."""

from pathlib import Path

import pytest
from support.fleet_fakes import identity

from psrlib.engines.identity import FILE, load_identities, save_identities
from psrlib.errors import InputError


def test_identities_come_back_as_they_were_saved(tmp_path: Path) -> None:
    """Order and every field."""
    group = [identity(n) for n in range(3)]
    save_identities(tmp_path, group)
    assert load_identities(tmp_path) == group


def test_only_the_owner_may_read_tokens(tmp_path: Path) -> None:
    """Mode 0600 for the file, 0700 for its folder."""
    path = save_identities(tmp_path, [identity(0)])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_token_never_shows_in_a_representation() -> None:
    """Neither repr nor str."""
    assert identity(0).token not in f"{identity(0)!r} {identity(0)}"


def test_tokens_and_ids_are_trimmed_when_read(tmp_path: Path) -> None:
    """As Data Collector trims its token file."""
    one = identity(0)
    path = save_identities(tmp_path, [one])
    path.write_text(
        path.read_text().replace(one.token, f" {one.token}\\r\\n").replace(one.id, one.id.upper())
    )
    assert load_identities(tmp_path) == [one]


@pytest.mark.parametrize(
    ("text", "match"),
    [("{", "expected a list"), ('[{"id": "x"}]', "expected a list"), (None, "no engine identities")],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str | None, match: str) -> None:
    """The message names the file and what to do."""
    if text is not None:
        save_identities(tmp_path, [])
        (tmp_path / "engines" / FILE).write_text(text)
    with pytest.raises(InputError, match=match):
        load_identities(tmp_path)


def test_two_engines_of_one_id_are_refused(tmp_path: Path) -> None:
    """They would fight over one registration."""
    save_identities(tmp_path, [identity(0), identity(0)])
    with pytest.raises(InputError, match="1 repeated"):
        load_identities(tmp_path)
