"""The hub process: ``python -m psrlib.hub.process.serve RUN_DIR LISTENER URL DB_URL OPTIONS``."""

import json
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from psrlib.errors import PsrError
from psrlib.hub.process.hub_process import bind, default_database, hub_record
from psrlib.hub.server import create_app

# Data Collector polls 5 s after the answer, Edge every 5 s. Kept for just that long, a connection would be
# closed while the next poll is on its way, and that poll lost; a minute leaves room.
KEEP_ALIVE_S = 60
LONGEST_FAREWELL_S = 1  # for calls under way at the end: containers are killed soon after


def main() -> int:
    """Serve until terminated; the listening socket is inherited, so the port is known before."""
    folder, fd, url, db_url, options = sys.argv[1:]
    try:
        with socket.socket(fileno=int(fd)) as listener:
            _serve(Path(folder), listener, url, db_url, **json.loads(options))
    except PsrError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def serve_here(run_dir: Path, host: str, port: int, db_url: str | None, strict: bool = False) -> None:
    """Serve the hub of a folder in this process until SIGTERM or SIGINT, with its log on standard output.

    Raises
    ------
    ProcessError
        When the port is in use, or another process serves this folder.
    """
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=layout, stream=sys.stdout, force=True)
    folder = run_dir.resolve()
    with bind(folder, host, port) as (listener, url):
        _serve(folder, listener, url, db_url or default_database(folder), strict=strict, log_config=None)


def _serve(
    folder: Path,
    listener: socket.socket,
    url: str,
    db_url: str,
    background: bool = True,
    strict: bool = False,
    **options: Any,
) -> None:
    # before uvicorn listens to it, and once more after it has ended well, for it sends the signal on
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with hub_record(folder, listener, url, db_url, strict):
        config = uvicorn.Config(
            create_app(db_url, url, background=background, strict=strict),
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody stands before the hub: an address in a header is a claim
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LONGEST_FAREWELL_S,
            **options,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
