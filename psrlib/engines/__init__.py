"""Engines: the protocol, the mock fleet, configuration for real ones."""

from psrlib.engines.fleet_process import FleetProcess, fleet_status, start_fleet, stop_fleet
from psrlib.engines.identity import EngineIdentity, load_identities, save_identities

__all__ = [
    "EngineIdentity",
    "FleetProcess",
    "fleet_status",
    "load_identities",
    "save_identities",
    "start_fleet",
    "stop_fleet",
]
