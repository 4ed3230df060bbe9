"""The hub process: ``python -m psrlib.hub.process.serve RUN_DIR LISTENER URL OPTIONS``."""

import asyncio
import ctypes
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from psrlib.errors import PsrError
from psrlib.hub import DATABASE_VARIABLE, PASSWORD_VARIABLE
from psrlib.hub.process.connection import Connection, allow_connections, cut_off_stalled
from psrlib.hub.process.hub_process import HubOptions, bind, find_database, hub_record
from psrlib.hub.server import create_app
from psrlib.hub.web.origin import is_loopback
from psrlib.process import end_when_told

# Data Collector polls 5 s after the answer, Edge every 5 s. Kept for just that long, a connection would be
# closed while the next poll is on its way, and that poll lost; a minute leaves room.
KEEP_ALIVE_S = 60
SWEEP_S = 1  # between two looks at connections that stall
LONGEST_FAREWELL_S = 1  # for calls under way at the end: containers are killed soon after
# Blocks as large go back to the system as soon as they are free. glibc raises the bound with every large
# body, up to 32 MiB, and then keeps what they leave: 100 MB more after a few of them.
MMAP_BYTES = 256 * 1024
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def main() -> int:
    """Serve until terminated; the listening socket is inherited, so the port is known before.

    What holds a secret comes in variables, which the list of processes does not show.
    """
    folder, fd, url, options = sys.argv[1:]
    try:
        with socket.socket(fileno=int(fd)) as listener:
            database, password = os.environ.pop(DATABASE_VARIABLE), os.environ.pop(PASSWORD_VARIABLE, "")
            _serve(Path(folder), listener, url, database, HubOptions.parse(options), password)
    except PsrError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def serve_here(
    run_dir: Path,
    host: str,
    port: int,
    db_url: str | None,
    *,
    admin_password: str | None = None,
    **options: Any,
) -> None:
    """Serve the hub of a folder in this process until SIGTERM or SIGINT, with its log on standard output.

    The arguments are those of `start_hub`.

    Raises
    ------
    ProcessError
        When the port is in use, or another process serves this folder.
    """
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=layout, stream=sys.stdout, force=True)
    chosen = HubOptions(**options)
    chosen.check()
    folder = run_dir.resolve()
    with bind(folder, host, port, chosen) as (listener, url):
        database = db_url or find_database(folder)
        _serve(folder, listener, url, database, chosen, admin_password or "", log_config=None)


def _serve(
    folder: Path,
    listener: socket.socket,
    url: str,
    db_url: str,
    options: HubOptions,
    admin_password: str,
    **logged: Any,
) -> None:
    # before uvicorn listens to it, and once more after it has ended well, for it sends the signal on
    end_when_told()
    with hub_record(folder, listener, url, db_url, options):
        is_local = is_loopback(listener.getsockname()[0])
        app = create_app(
            db_url,
            options.public_url or url,
            background=options.background,
            strict=options.strict,
            webhook_hosts=options.webhook_hosts,
            is_local=is_local,
            admin_password=admin_password or None,
            needs_password=not is_local,
            release=options.release,
            rate_limit=options.rate_limit,
            run_dir=folder,
        )
        allow_connections()
        _return_memory()
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=Connection,
            ws="none",  # without it a handshake would hold a connection that nobody watches
            ssl_certfile=options.certificate,
            ssl_keyfile=options.key,
            log_level="error",  # not every request that is none: anybody could fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody stands before the hub: an address in a header is a claim
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LONGEST_FAREWELL_S,
            **logged,
        )
        server = uvicorn.Server(config)

        async def look_after_connections() -> None:
            cut_off_stalled(server.server_state, asyncio.get_running_loop().time())

        config.callback_notify, config.timeout_notify = look_after_connections, SWEEP_S
        server.run(sockets=[listener])


def _return_memory() -> None:
    """Have the C library return large blocks; one that is not glibc returns them by itself, or cannot."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_MMAP_THRESHOLD, MMAP_BYTES)


if __name__ == "__main__":
    sys.exit(main())
