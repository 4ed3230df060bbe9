"""The fleet process: ``python -m psrlib.engines.serve RUN_DIR SETTINGS`` (started by ``start_fleet``)."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from psrlib.engines.behaviour import load_behaviour
from psrlib.engines.fleet import CONNECTIONS, Fleet
from psrlib.engines.fleet_process import LOCK, LOOPBACK, RECORD
from psrlib.engines.identity import EngineIdentity, engines_dir, load_identities
from psrlib.engines.sender import HttpSender
from psrlib.engines.status import status_app
from psrlib.engines.store import FleetStore, Store
from psrlib.engines.webhook_sink import sink_address, webhook_app
from psrlib.errors import ProcessError, PsrError
from psrlib.files import PRIVATE, replace_file
from psrlib.lock import hold
from psrlib.process import end_when_told

logger = logging.getLogger(__name__)
LAYOUT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> None:
    """Run a fleet until SIGTERM or SIGINT; an error of the kit is the last line of the log."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format=LAYOUT)
    run_dir, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_fleet(run_dir, settings))
    except PsrError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


def run_here(run_dir: Path, settings: dict[str, Any]) -> None:
    """Run a fleet in this process until SIGTERM or SIGINT, with its log on standard output.

    ``settings`` are those of `fleet_settings`, and ``status_port``.

    Raises
    ------
    ProcessError
        When a port is in use, or another process runs the engines of this folder.
    """
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format=LAYOUT, stream=sys.stdout, force=True)
    end_when_told()  # until the fleet listens
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_fleet(run_dir, settings))


async def run_fleet(run_dir: Path, settings: dict[str, Any]) -> None:
    """Serve status and webhooks, write ``fleet.json``, and run the engines until told to stop."""
    folder = engines_dir(run_dir)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(hold(folder / LOCK, "engine fleet", f"{run_dir} has a fleet already"))
        (folder / RECORD).unlink(missing_ok=True)  # of an earlier one, whose process number may be ours now
        identities = load_identities(run_dir)
        store = _open_store(folder, settings, identities)
        stack.callback(store.close)
        sender = HttpSender(CONNECTIONS, ca_bundle=settings["ca_bundle"])
        stack.push_async_callback(sender.close)
        fleet = Fleet(
            identities,
            settings["sch_url"],
            sender,
            behaviour=load_behaviour(settings["behaviour"]),
            store=store,
            interval_ms=max(1, int(settings["poll_interval_s"] * 1000)),
            event_ms=settings["event_ms"],
            max_pipelines=settings["max_pipelines"],
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, fleet.stop)
        if (owner := settings.get("owner")) is not None:
            loop.add_reader(owner, fleet.stop)  # nothing comes but the end
        listen = settings["listen"]
        sink = sink_address(settings["webhook_url"], listen)
        if sink is not None:
            host, port, path = sink
            shares = settings["shares_port"]
            runner, _ = await serve(webhook_app(fleet, path), host, port, "webhook sink", shares=shares)
            stack.push_async_callback(runner.cleanup)
        runner, port = await serve(status_app(fleet), listen, settings["status_port"], "fleet status")
        stack.push_async_callback(runner.cleanup)
        record = {**settings, "pid": os.getpid(), "status_url": f"http://{_reachable(listen)}:{port}"}
        replace_file(folder / RECORD, json.dumps(record, indent=1) + "\n", PRIVATE)  # no secrets in it
        logger.info("fleet of %d engines serves %s", len(fleet.members), settings["sch_url"])
        await fleet.run()
    logger.info("fleet stopped; its engines stay registered")


def _open_store(folder: Path, settings: dict[str, Any], identities: list[EngineIdentity]) -> Store:
    if settings["store"] is None:
        return FleetStore(folder)
    from psrlib.engines.database import EngineDatabase  # SQLAlchemy is only for those who have a database
    from psrlib.engines.shared_store import SharedStore

    database = EngineDatabase(settings["store"], settings["sch_url"])
    try:
        return SharedStore(database, identities)
    except BaseException:
        database.close()
        raise


def _reachable(listen: str) -> str:
    """Return the address at which this machine reaches what listens on another one, or on all."""
    if listen in ("0.0.0.0", "::"):
        return LOOPBACK
    return f"[{listen}]" if ":" in listen else listen


async def serve(
    app: web.Application, host: str, port: int, what: str, *, shares: bool = False
) -> tuple[web.AppRunner, int]:
    """Serve an application; return its runner and the port it took. ``shares``: with others who do.

    Raises
    ------
    ProcessError
        When the port is in use.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_port=shares or None).start()
    except OSError as error:
        await runner.cleanup()
        raise ProcessError(
            f"{what} cannot listen on {host}:{port}: {error.strerror}; "
            "stop what uses the port, or choose another"
        ) from error
    return runner, int(runner.addresses[0][1])


if __name__ == "__main__":
    main()
