"""The hub process: ``python -m psrlib.hub.process.serve LISTENER DB_URL URL`` (started by ``start_hub``)."""

import socket
import sys

import uvicorn

from psrlib.errors import PsrError
from psrlib.hub.server import create_app

# Data Collector polls 5 s after the answer, Edge every 5 s. Kept for just that long, a connection would be
# closed while the next poll is on its way, and that poll lost; a minute leaves room.
KEEP_ALIVE_S = 60


def main() -> int:
    """Serve until terminated; the listening socket is inherited, so the port is known before."""
    listener, db_url, url = sys.argv[1:]
    try:
        app = create_app(db_url, url)
    except PsrError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands before the hub: an address in a header is the caller's claim
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(listener))])
    return 0


if __name__ == "__main__":
    sys.exit(main())
