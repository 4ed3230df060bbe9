"""Configuration of real Data Collectors that take the places of the mock engines.

The files are those of engine-protocol, section 1. How the vendor's image takes them (``/etc/sdc``, ``/data``,
values of ``sdc.properties`` from ``SDC_CONF_*`` variables) is public in its repository, datacollector-docker.
"""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from psrlib.bounds import is_key
from psrlib.engines.identity import EngineIdentity
from psrlib.engines.wire import VERSION
from psrlib.errors import InputError
from psrlib.files import PRIVATE, replace_file
from psrlib.seed.capacity import DEFAULT

logger = logging.getLogger(__name__)
IMAGE = f"streamsets/datacollector:{VERSION}"
TOKEN_FILE = "application-token.txt"
DEFAULT_PORT = 18630
VENDOR_POOL_SIZE = 50  # runner.thread.pool.size


def configure_engines(
    identities: Iterable[EngineIdentity],
    sch_url: str,
    output: str | Path,
    *,
    authoring_url: str | None = None,
    max_pipelines: int = DEFAULT,
    needs: Mapping[tuple[str, str], int] | None = None,
) -> list[Path]:
    """Write a folder per organization: compose file, and per engine its token and properties.

    Parameters
    ----------
    sch_url : str
        Base URL of the Control Hub as the engines reach it.
    output : path
        Folder to write to; files of an earlier call are replaced.
    authoring_url : str or None
        URL of the authoring engine; None records the first Data Collector of each organization.
    max_pipelines : int
        Pipelines that each engine can run at once, at least; `thread_pool_size` says what that takes.
    needs : mapping of (organization, key) to int, or None
        Pipelines that an engine has to run at once, where that may be more.

    Returns
    -------
    list of Path
        One folder per organization: ``docker-compose.yml``, ``engines.json``, and per engine
        ``application-token.txt`` (mode 0600), ``dpm.properties``, ``sdc.properties`` and ``data/sdc.id``.

    Raises
    ------
    InputError
        When there is no engine, two engines of an organization have the same address, a key or an id of an
        organization is none that may name a folder, or another text would end a line of a properties file.
    """
    by_organization: dict[str, list[EngineIdentity]] = {}
    for identity in identities:
        by_organization.setdefault(identity.organization, []).append(identity)
    if not by_organization:
        raise InputError("no engines to configure; the seed document has none")
    for organization, group in by_organization.items():
        for identity in group:
            _check_texts(identity)
        _check_addresses(organization, group)
    root = Path(output).resolve()
    return [
        _configure_organization(
            root / organization,
            organization,
            group,
            sch_url,
            authoring_url,
            {i.key: max(max_pipelines, (needs or {}).get((organization, i.key), 0)) for i in group},
        )
        for organization, group in by_organization.items()
    ]


def thread_pool_size(n_pipelines: int) -> int:
    """Return the ``runner.thread.pool.size`` with which an engine runs so many pipelines at once.

    A Data Collector 3.23 with the vendor's 50 ran 50 × 10 / 22, rounded down, and no more. Never less than
    the vendor's.

    Examples
    --------
    >>> thread_pool_size(22), thread_pool_size(23), thread_pool_size(100)
    (50, 51, 220)
    """
    return max(VENDOR_POOL_SIZE, math.ceil(n_pipelines * 22 / 10))


def _dpm_properties(identity: EngineIdentity, sch_url: str) -> dict[str, str]:
    return {  # the whole of the file (engine-protocol, 1.2); the token stays in its own
        "dpm.enabled": "true",
        "dpm.base.url": sch_url.rstrip("/") + "/",
        "dpm.appAuthToken": f"@{TOKEN_FILE}@",
        "dpm.registration.retry.attempts": "5",
        "dpm.security.validationTokenFrequency.secs": "60",
        "dpm.remote.control.job.labels": ",".join(identity.labels),
        "dpm.remote.control.ping.frequency": "5000",
        "dpm.remote.control.status.events.interval": "60000",
        "dpm.remote.control.events.recipient": "jobrunner-app",
        "dpm.remote.control.process.events.recipients": "jobrunner-app,timeseries-app",
    }


def _sdc_properties(identity: EngineIdentity, n_pipelines: int) -> dict[str, str]:
    return {  # where it differs, or may differ, from the vendor's
        "http.port": str(urlsplit(identity.url).port or DEFAULT_PORT),
        "sdc.base.http.url": identity.url,
        "runner.thread.pool.size": str(thread_pool_size(n_pipelines)),
    }


def _check_texts(identity: EngineIdentity) -> None:
    """Refuse what would be written elsewhere, or say more than one thing; a stranger may have written it."""
    for field in ("organization", "key"):
        if not is_key(getattr(identity, field)):
            raise InputError(
                f"engine {getattr(identity, field)!r:.60}, field {field}: expected letters, digits, dots,"
                " underscores and dashes, for a folder gets this name; create the seed document again"
            )
    texts = (identity.id, identity.url, identity.token, *identity.labels)
    if any(not text.isprintable() for text in texts):
        raise InputError(
            f"engine {identity.key}: a line break or another control character in what it reports"
        )


def _check_addresses(organization: str, group: list[EngineIdentity]) -> None:
    seen: dict[str, str] = {}
    for identity in group:
        address = urlsplit(identity.url).netloc
        if address in seen:
            raise InputError(
                f"{organization}: engines {seen[address]} and {identity.key} share the address {address}; "
                "give engines of one host different ports"
            )
        seen[address] = identity.key


def _configure_organization(
    folder: Path,
    organization: str,
    group: list[EngineIdentity],
    sch_url: str,
    authoring_url: str | None,
    n_pipelines: Mapping[str, int],
) -> Path:
    services = {}
    for identity in group:
        properties = _sdc_properties(identity, n_pipelines[identity.key])
        _configure_engine(folder / identity.key, identity, sch_url, properties)
        if identity.type == "COLLECTOR":
            services[identity.key] = _service(identity.key, properties)
        else:
            logger.warning("%s %s is a %s: files only, no service", organization, identity.key, identity.type)
    collectors = [identity.url for identity in group if identity.type == "COLLECTOR"]
    summary = {
        "organization": organization,
        "control_hub": sch_url,
        "authoring_engine": authoring_url or next(iter(collectors), None),
        "engines": [{"key": i.key, "id": i.id, "url": i.url, "labels": i.labels} for i in group],
    }
    replace_file(folder / "engines.json", json.dumps(summary, indent=1) + "\n")
    compose = {"name": organization, "services": services}
    replace_file(folder / "docker-compose.yml", yaml.safe_dump(compose, sort_keys=False))
    return folder


def _configure_engine(
    folder: Path, identity: EngineIdentity, sch_url: str, properties: dict[str, str]
) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    replace_file(folder / TOKEN_FILE, identity.token + "\n", PRIVATE)
    replace_file(folder / "dpm.properties", _properties(_dpm_properties(identity, sch_url)))
    replace_file(folder / "sdc.properties", _properties(properties))
    replace_file(folder / "data" / "sdc.id", identity.id + "\n")  # the engine keeps the id it finds


def _service(key: str, properties: dict[str, str]) -> dict[str, Any]:
    return {
        "image": IMAGE,
        "restart": "unless-stopped",
        "network_mode": "host",  # the hub may listen on loopback, and the reported address is the host's
        "user": "0:0",  # reads the token file of mode 0600, whoever owns it
        "environment": {
            "SDC_CONF_" + name.upper().replace(".", "_"): value for name, value in properties.items()
        },
        "volumes": [
            f"./{key}/{TOKEN_FILE}:/etc/sdc/{TOKEN_FILE}:ro",
            f"./{key}/dpm.properties:/etc/sdc/dpm.properties",
            f"./{key}/data:/data",
        ],
    }


def _properties(values: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
