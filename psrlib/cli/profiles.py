"""The file of profiles: how to reach which Control Hub, without secrets, in the user's folder of settings."""

import json
import os
from pathlib import Path
from typing import Any

import click

from psrlib.errors import InputError
from psrlib.files import replace_file
from psrlib.hub import EMBEDDED

FIELDS = {"sch_url", "release", "sch_username", "ca_bundle", "credentials"}  # names of options
ADMINISTRATOR = "admin@admin"  # the system administrator, unless another one is given
ORGANIZATION_PASSWORD_VARIABLE = "PSR_ORGANIZATION_PASSWORD"
Profiles = dict[str, dict[str, str]]


def profile_file() -> Path:
    """Return the file: ``~/.config/psr/profiles.json`` on Linux, the like of it elsewhere."""
    return Path(click.get_app_dir("psr")) / "profiles.json"


def load_profiles() -> Profiles:
    """Return all profiles by name; none without a file.

    Raises
    ------
    InputError
        If the file does not hold profiles.
    """
    path = profile_file()
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: the profiles cannot be read ({error}); correct or delete the file"
        ) from error
    if not isinstance(content, dict) or not all(_is_profile(values) for values in content.values()):
        raise InputError(f"{path}: expected profiles of texts named {', '.join(sorted(FIELDS))}")
    return content


def load_profile(name: str) -> dict[str, str]:
    """Return a profile; InputError names those that there are when it is unknown."""
    profiles = load_profiles()
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        raise InputError(f"no profile {name} in {profile_file()} (there: {known}); psr profile set makes one")
    return profiles[name]


def hub_target(
    profile: str, sch_url: str, sch_username: str, release: int, credentials: str, ca_bundle: str
) -> dict[str, Any]:
    """Return how a notebook reaches the hub that its parameters mean, as `psrlib.run.open_hub` takes it.

    What is given goes before what the profile has; empty texts, 0 and ``embedded`` count as not given. The
    password of the organizations' users is that of the environment, if there is one.

    Raises
    ------
    InputError
        If there is no such profile, or the credentials file cannot be used.
    """
    from psrlib.client import load_credentials

    kept = load_profile(profile) if profile else {}
    file = credentials or kept.get("credentials")
    return {
        "sch_url": kept.get("sch_url", EMBEDDED) if sch_url == EMBEDDED else sch_url,
        "sch_username": sch_username
        if sch_username != ADMINISTRATOR
        else kept.get("sch_username", ADMINISTRATOR),
        "release": str(release or kept.get("release", "auto")),
        "credentials": load_credentials(file) if file else None,
        "verify": ca_bundle or kept.get("ca_bundle") or True,
        "organization_password": os.environ.get(ORGANIZATION_PASSWORD_VARIABLE),
    }


def save_profiles(profiles: Profiles) -> Path:
    """Write all profiles and return the file."""
    return replace_file(profile_file(), json.dumps(profiles, indent=1) + "\n")


def _is_profile(values: object) -> bool:
    return (
        isinstance(values, dict)
        and set(values) <= FIELDS
        and all(isinstance(value, str) for value in values.values())
    )
