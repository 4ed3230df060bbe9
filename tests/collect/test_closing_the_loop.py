"""From model to hub to stats to model again: the second model draws what the first one draws."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.collect import collect_stats
from psrlib.collect.anonymize import anonymize
from psrlib.collect.collection import write_set
from psrlib.collect.rows import DETAILS, OrganizationRows
from psrlib.engines import start_fleet
from psrlib.hub.process.hub_process import start_hub
from psrlib.model import NoiseModel
from psrlib.model.fit import fit_directory
from psrlib.seed import create_seed, resolve_variables
from psrlib.state import populate, setup_engines, start_jobs, wait_until_active
from psrlib.stats import read_stats
from psrlib.verify.counts import count_entities, metrics_frame
from psrlib.verify.statistics import auc_check, distance_check, distance_table, draw_reference
from psrlib.words import COUNTS

PASSWORD = "admin@admin"


def fit_again(stats_dir: Path, folder: Path) -> NoiseModel:
    path = folder / "again.json"
    fit_directory(stats_dir, name="again", evaluate=False).save(path)
    return NoiseModel.load(path)


def assert_alike(first: NoiseModel, second: NoiseModel, rng: np.random.Generator) -> None:
    reference, drawn = draw_reference(first, 1), draw_reference(second, 2, 100)
    distances = distance_check(distance_table(drawn, reference, rng))
    assert distances.ok, distances.answer
    classifier = auc_check(drawn, reference, rng)
    assert classifier.ok, classifier.answer


def test_a_model_fitted_to_what_a_seed_document_holds_draws_the_same(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """The statistical half of the loop, without a hub between."""
    first = NoiseModel.load(paths.SAMPLE_MODEL)
    document = create_seed(first, 77, 250)
    rows = {
        o.id: OrganizationRows(
            {**count_entities(o), "subscriptions_enabled": 1}, {name: [] for name in DETAILS}
        )
        for o in document.organizations
    }
    write_set(anonymize(rows, rng, k=1), tmp_path / "stats", "synthetic", {"k": 1})
    assert_alike(first, fit_again(tmp_path / "stats", tmp_path), rng)


@pytest.mark.long
def test_the_whole_loop_through_a_hub(tmp_path: Path, rng: np.random.Generator) -> None:
    """create-json, populate, start, collect, fit, draw: exact counts, then the two-sample test."""
    first = NoiseModel.load(paths.SAMPLE_MODEL)
    webhook = {"webhook_url": "http://webhooks.invalid/hook"}  # not served by the fleet
    document = resolve_variables(create_seed(first, 78, 100), webhook)
    with start_hub(tmp_path) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        populate(document, hub, progress=False)
        setup_engines(document, hub, tmp_path)
        with start_fleet(tmp_path, process.url, webhook["webhook_url"]):
            start_jobs(document, hub)
            wait_until_active(document, hub, timeout_s=120)
            collect_stats(hub, tmp_path / "stats", PASSWORD, k=1, rate_per_s=1000)
    columns = list(COUNTS)
    collected = read_stats(tmp_path / "stats").organizations[columns]
    desired = metrics_frame(document.organizations)[columns]
    pd.testing.assert_frame_equal(
        collected.sort_values(columns).reset_index(drop=True),
        desired.sort_values(columns).reset_index(drop=True),
        check_dtype=False,
    )
    assert_alike(first, fit_again(tmp_path / "stats", tmp_path), rng)
