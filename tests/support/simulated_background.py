"""Recordings of a simulated hub: noise as it is on a real machine, and faults put in."""

from dataclasses import dataclass
from itertools import cycle

import msgspec
import numpy as np

from psrlib.arrays import IntArray
from psrlib.watch.recorder import default_rate
from psrlib.watch.recording import CALLS, COUNT_JOBS, FORMAT, LIST_ENGINES, Engine, Line, Sample, Start

BEGIN = 1_800_000_000.0  # of every recording, seconds since 1970
LOGIN_S = 5.0  # that a call waits for a hub that is away
USUAL_S = {"server info": 0.003, "count jobs": 0.004, "list engines": 0.005}


@dataclass(frozen=True)
class Faults:
    """What goes wrong; times are shares of the recording's length.

    ``outage_s`` seconds without answers from the middle on; ``red`` of the running jobs turn red after
    ``red_from``, until ``red_until``; ``restarted`` of the engines are started again in the middle, and
    ``silent`` of them respond no more; answers take ``slower`` times as long after ``slower_from``.
    """

    outage_s: float = 0.0
    red: float = 0.0
    red_from: float = 0.5
    red_until: float = 1.0
    restarted: float = 0.0
    slower: float = 1.0
    slower_from: float = 0.0
    silent: float = 0.0


@dataclass(frozen=True)
class Noise:
    """Of the logarithm of answer times: each for itself (with a share of slow ones), and waves of load.

    Waves are an autoregressive process of standard deviation ``wave`` that forgets in ``wave_s`` seconds.
    """

    each: float = 0.3
    slow_share: float = 0.03
    slow: float = 1.5
    wave: float = 0.1
    wave_s: float = 60.0


def simulate(
    rng: np.random.Generator,
    *,
    minutes: float = 60.0,
    n_organizations: int = 10,
    rate_per_s: float | None = None,
    noise: Noise = Noise(),
    faults: Faults = Faults(),
) -> list[Line]:
    """Return the lines that a recorder would write; engines and jobs are the same for the same number."""
    sizes = np.random.default_rng(1)  # the background itself does not change from one recording to the next
    n_jobs, n_engines = sizes.integers(5, 30, n_organizations), sizes.integers(1, 4, n_organizations)
    names = [f"org-{i:04d}" for i in range(1, n_organizations + 1)]
    rate = rate_per_s or default_rate(int(n_engines.sum()))
    lines: list[Line] = [Start(FORMAT, BEGIN, "http://hub", "3.22.2", names, rate)]
    length_s = 60 * minutes
    # which jobs and engines a fault meets: the first of those in a random order over all organizations
    red_left = _shares(rng, n_jobs, faults.red)
    restarted, silent = _shares(rng, n_engines, faults.restarted), _shares(rng, n_engines, faults.silent)
    away = (0.5 * length_s, 0.5 * length_s + faults.outage_s)
    wave, t, first_round = 0.0, 0.0, 3 * n_organizations
    for number, (i, call) in enumerate(cycle([(i, call) for i in range(n_organizations) for call in CALLS])):
        if t > length_s:
            return lines
        at = BEGIN + t
        step = 1 / (5.0 if number < first_round else rate)
        if away[0] <= t < away[1]:
            lines.append(Sample(at=at, call=call, took_s=LOGIN_S, outage="no answer", requests=6))
            t += max(step, LOGIN_S)
            continue
        keep = np.exp(-step / noise.wave_s)
        wave = keep * wave + noise.wave * np.sqrt(1 - keep**2) * rng.standard_normal()
        log = wave + noise.each * rng.standard_normal() + noise.slow * (rng.random() < noise.slow_share)
        answer_s = USUAL_S[call] * float(np.exp(log)) * (1 + 0.02 * float(n_jobs[i]))
        if t >= faults.slower_from * length_s:
            answer_s *= faults.slower
        sample = Sample(
            at=at, call=call, took_s=answer_s, answer_s=answer_s, bytes=200, waited_s=answer_s,
            organization="" if call == "server info" else names[i],
        )  # fmt: skip
        if call == COUNT_JOBS:
            n_red = int(red_left[i]) if faults.red_from * length_s <= t < faults.red_until * length_s else 0
            counts = {"ACTIVE_GREEN": int(n_jobs[i]) - n_red, "ACTIVE_RED": n_red, "NEVER_STARTED": 3}
            sample = _with(sample, jobs={status: n for status, n in counts.items() if n})
        if call == LIST_ENGINES:
            is_late = t >= 0.5 * length_s
            found = {
                f"{names[i]}-{j}": Engine(
                    responding=not (is_late and j < silent[i]),
                    pipelines=int(n_jobs[i]) // int(n_engines[i]),
                    started_at_ms=1 + int(is_late and j < restarted[i]),
                )
                for j in range(n_engines[i])
            }
            sample = _with(sample, engines=found)
        lines.append(sample)
        t += step
    raise AssertionError("unreachable: the round is endless")


def _with(sample: Sample, **changes: object) -> Sample:
    return msgspec.structs.replace(sample, **changes)


def _shares(rng: np.random.Generator, sizes: np.ndarray, share: float) -> IntArray:
    """Return for each organization how many of its things are among a share of all, at least one if any."""
    everything = np.repeat(np.arange(len(sizes)), sizes)
    n = max(1, round(share * len(everything))) if share else 0
    return np.bincount(rng.permutation(everything)[:n], minlength=len(sizes))
