"""The same background is called so, injected faults are named, and too little to say is told from both."""

from collections import Counter

import msgspec
import numpy as np
import pytest
from support.simulated_background import Faults, Noise, simulate

from psrlib.watch import Background, Comparison, background_of, compare
from psrlib.watch.compare import OUTAGE_TOLERANCE_S
from psrlib.watch.recording import Line, Sample, Start

PAIRS = 20  # simulated pairs of recordings, an hour of ten organizations each unless told otherwise
QUIET = Faults()
WANTED = 0.95  # of the pairs


def lines(seed: int, faults: Faults = QUIET, **options: object) -> list[Line]:
    return simulate(np.random.default_rng(seed), faults=faults, **options)  # type: ignore[arg-type]


def pair(seed: int, faults: Faults = QUIET, **options: object) -> Comparison:
    """Return the comparison of a recording without faults and one with them."""
    a, b = lines(2 * seed, **options), lines(2 * seed + 1, faults, **options)
    return compare(background_of(a, "before"), background_of(b, "after"))


def differing(comparison: Comparison) -> set[str]:
    return {aspect.name for aspect in comparison.aspects if aspect.outcome == "different"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_organizations": 100, "minutes": 20.0},
        {"rate_per_s": 1.0, "minutes": 20.0},
        {"noise": Noise(each=0.5, wave=0.05, wave_s=600.0), "rate_per_s": 0.5},
    ],
    ids=["an hour of ten", "20 minutes of a hundred", "20 minutes of ten, faster", "wild noise, slow waves"],
)
def test_the_same_background_is_called_same_nearly_always(options: dict[str, object]) -> None:
    """And never different, however much neighbouring answer times are alike."""
    n_pairs = PAIRS if options.get("n_organizations") is None else PAIRS // 4
    outcomes = Counter(pair(seed, **options).outcome for seed in range(n_pairs))
    assert outcomes["different"] == 0
    assert outcomes["same"] >= WANTED * n_pairs


def test_noise_beyond_what_samples_can_tell_is_no_difference() -> None:
    """Waves of load of a quarter of an hour: it often could not tell, and hardly ever is it misled."""
    noise = Noise(wave=0.2, wave_s=900.0)
    outcomes = Counter(pair(seed, noise=noise).outcome for seed in range(PAIRS))
    assert outcomes["could not tell"] > PAIRS / 4
    assert outcomes["different"] <= 0.15 * PAIRS


ANSWERS = {"answer time: server info", "answer time: count jobs", "answer time: list engines"}
RED = {"jobs ACTIVE_RED", "jobs ACTIVE_GREEN"}


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        (Faults(outage_s=30), {"outages of the hub"}),
        (Faults(red=0.05), RED),
        (Faults(red=0.05, red_from=0.0), RED),
        (Faults(red=0.05, red_from=0.4, red_until=0.6), RED),
        (Faults(restarted=0.1), {"engine restarts"}),
        (Faults(silent=0.1), {"engines responding"}),
        (Faults(slower=1.5), ANSWERS),
        (Faults(slower=2.0, slower_from=0.5), {"drift of answer times"}),
    ],
    ids=[
        "outage",
        "red later",
        "red always",
        "red for a while",
        "restarts",
        "silent",
        "slow",
        "slower later",
    ],
)
def test_an_injected_fault_is_named(faults: Faults, named: set[str]) -> None:
    """In nearly all pairs, and nothing else is called different beside it."""
    found = [differing(pair(seed, faults)) for seed in range(PAIRS)]
    hit = sum(bool(names & named) for names in found)
    assert hit >= WANTED * PAIRS
    beside = set().union(*found) - named - (ANSWERS if faults.slower > 1 else set())
    assert beside == set()


def test_what_is_worse_in_the_first_recording_differs_too() -> None:
    """A and B change places."""
    a, b = background_of(lines(1, Faults(red=0.05)), "a"), background_of(lines(2), "b")
    comparison = compare(a, b)
    (red,) = [aspect for aspect in comparison.aspects if aspect.name == "jobs ACTIVE_RED"]
    assert red.outcome == "different"
    assert -6 < red.effect.middle < -4
    assert "A was up to +" in red.finding


def test_a_difference_below_the_tolerance_is_none() -> None:
    """However many samples there are: answers that take 1.1 times as long."""
    outcomes = [pair(seed, Faults(slower=1.1), rate_per_s=3.0).outcome for seed in range(10)]
    assert "different" not in outcomes
    assert outcomes.count("same") >= 9


@pytest.mark.parametrize(
    ("options", "aspect", "reason"),
    [
        ({"minutes": 3.0}, "engine restarts", "organizations were looked at"),
        ({"minutes": 3.0}, "answer time: count jobs", "too few answers"),
        ({"rate_per_s": 0.05, "minutes": 120.0}, "outages of the hub", "with a call every 20 s"),
    ],
    ids=["few rounds", "few answers", "seldom"],
)
def test_too_little_could_not_tell(options: dict[str, object], aspect: str, reason: str) -> None:
    """A check without power is not held; the verdict says what was missing."""
    comparison = pair(1, **options)
    (found,) = [one for one in comparison.aspects if one.name == aspect]
    assert found.outcome == "could not tell"
    assert reason in found.finding
    assert comparison.outcome == "could not tell"
    assert comparison.verdict.startswith("Could not tell: ")


def test_recordings_of_very_different_length_could_not_tell() -> None:
    """What happens once an hour is not seen in ten minutes."""
    a, b = background_of(lines(1), "a"), background_of(lines(2, minutes=35.0), "b")
    (found,) = [aspect for aspect in compare(a, b).aspects if aspect.name == "time watched"]
    assert (found.outcome, found.finding) == ("could not tell", "59.9 and 34.9 minutes")


def test_another_hub_differs_in_organizations_and_jobs() -> None:
    """Its answer times are compared all the same, for the organizations that both have."""
    a, b = background_of(lines(1), "a"), background_of(lines(2, n_organizations=12), "b")
    assert {"organizations watched", "jobs", "engines"} <= differing(compare(a, b))


def test_an_engine_that_never_tells_its_start_could_not_tell_restarts() -> None:
    """Not every hub names it."""

    def without(recording: list[Line]) -> Background:
        def forget(line: Line) -> Line:
            if isinstance(line, Start) or line.engines is None:
                return line
            engines = {id: msgspec.structs.replace(e, started_at_ms=0) for id, e in line.engines.items()}
            return msgspec.structs.replace(line, engines=engines)

        return background_of([forget(line) for line in recording], "x")

    comparison = compare(without(lines(1)), without(lines(2, Faults(restarted=0.5))))
    (found,) = [aspect for aspect in comparison.aspects if aspect.name == "engine restarts"]
    assert (found.outcome, "does not tell" in found.finding) == ("could not tell", True)


def test_refused_calls_are_named() -> None:
    """With the hub's own words."""

    def refuse(number: int, line: Line) -> Line:
        if isinstance(line, Sample) and number % 20 == 0:
            return Sample(line.at, line.call, 0.01, line.organization, refused="JOBRUNNER_01: no")
        return line

    b = [refuse(number, line) for number, line in enumerate(lines(2))]
    comparison = compare(background_of(lines(1), "a"), background_of(b, "b"))
    assert differing(comparison) == {"calls refused"}
    assert "JOBRUNNER_01: no" in comparison.verdict


def test_what_is_named_from_is_told_with_each_aspect() -> None:
    """The smallest difference that would have been seen: more than the tolerance, not much more."""
    comparison = pair(3, n_organizations=100, minutes=20.0)
    for aspect in comparison.aspects:
        assert aspect.tolerance <= aspect.named_from <= 1.6 * aspect.tolerance
    outages = next(aspect for aspect in comparison.aspects if aspect.name == "outages of the hub")
    assert outages.named_from == OUTAGE_TOLERANCE_S


def test_the_summary_is_plain_and_whole() -> None:
    """Unknown numbers are null in JSON, not NaN."""
    summary = pair(1, minutes=3.0).summary()
    assert msgspec.json.decode(msgspec.json.encode(summary)) == summary
    assert [aspect["outcome"] for aspect in summary["aspects"]].count("could not tell") > 3
    assert {aspect["difference"] for aspect in summary["aspects"]} >= {None, 0.0}
    assert summary["recordings"]["b"]["cost"]["calls"] > 10
