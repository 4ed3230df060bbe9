"""A fleet against a hub that answers badly on purpose."""

import re
import time
from pathlib import Path

from support.bad_hub import ATTACKS, BadHub
from support.fleet_fakes import identity

from psrlib.engines import fleet_status, save_identities, start_fleet

MEMORY_BYTES = 300_000_000


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had."""
    (kib,) = re.findall(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kib) * 1024


def test_a_hub_that_sends_gigabytes_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Bodies, heads and lists without end, bombs, state to keep: each many times, and the fleet says so."""
    engines = [identity(number) for number in range(8)]
    save_identities(tmp_path, engines)
    with BadHub(ATTACKS) as hub, start_fleet(tmp_path, hub.url, poll_interval_s=0.05, wait_s=0) as fleet:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            time.sleep(0.2)
            if hub.sent_bytes > 2 * 10**9 and min(hub.n_answers[a.__name__] for a in ATTACKS) >= 5:
                break
        status = fleet_status(tmp_path)
        assert peak_bytes(fleet.pid) < MEMORY_BYTES
    assert hub.sent_bytes > 2 * 10**9
    assert status["running"]
    assert set(status["errors"]) >= {
        "poll: answer longer than 16777216 bytes",
        "poll: compressed answer",
        "poll: no answer",
        "poll: wrong type of answer",
    }
    assert not {"internal"} & set(status["errors"])
    assert status["pipelines"].get("EDITED", 0) < 200  # what it was given to keep has an end
