"""Mock engines with tokens that another client has made."""

from collections.abc import Sequence
from pathlib import Path

from psrlib.engines import EngineIdentity, FleetProcess, save_identities, start_fleet
from psrlib.seed.identity import engine_id


def start_engines(run_dir: Path, hub_url: str, organization: str, tokens: Sequence[str]) -> FleetProcess:
    """Start a fleet with a Data Collector for each token, all with the label ``all``."""
    identities = [
        EngineIdentity(
            organization=organization,
            key=f"engine-{n}",
            id=engine_id(1, organization, f"engine-{n}"),
            url=f"http://127.0.0.1:{18630 + n}",
            type="COLLECTOR",
            labels=["all"],
            token=token,
        )
        for n, token in enumerate(tokens)
    ]
    save_identities(run_dir, identities)
    return start_fleet(run_dir, hub_url, poll_interval_s=0.5)
