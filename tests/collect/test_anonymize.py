"""Anonymizing keeps the shape of a population and hides single organizations."""

import numpy as np
import pandas as pd
import pytest

from psrlib.collect.anonymize import anonymize, top_code
from psrlib.collect.rows import OrganizationRows
from psrlib.errors import InputError
from psrlib.words import COUNTS


def population(n: int, giant: int = 5_000) -> dict[str, OrganizationRows]:
    """Organizations of growing size, the last one a giant with an event of its own."""
    organizations = {}
    for i in range(n):
        jobs = giant if i == n - 1 else i + 2
        counts = dict.fromkeys(COUNTS, 1) | {"jobs": jobs, "active_jobs": jobs // 2, "job_templates": 0}
        counts |= {"subscriptions_enabled": 1, "max_jobs": 77_777 if i == n - 1 else 1_000}
        details = {
            "pipelines": [
                {
                    "commits": 1,
                    "labels": 0,
                    "owner": 1,
                    "stages": 3,
                    "parameters": 0,
                    "definition_bytes": 4_321,
                }
            ],
            "jobs": [
                {
                    "status": "ACTIVE" if j % 2 else "INACTIVE",
                    "pipeline": 1,
                    "owner": 1,
                    "instances": 1,
                    "engine_labels": 1,
                    "tags": 0,
                    "is_template": 0,
                }
                for j in range(jobs)
            ],
            "scheduled_tasks": [{"action": "START", "period_s": 86_400, "job": 1}],
            "users": [{"roles": 3, "groups": 1}],
            "subscriptions": [
                {
                    "event": "SECRET_EVENT" if i == n - 1 else "JOB_STATUS_CHANGE",
                    "action": "EMAIL",
                    "enabled": 1,
                }
            ],
        }
        organizations[f"org-{i}"] = OrganizationRows(counts, details)
    return organizations


def test_the_largest_value_of_each_count_is_shared(rng: np.random.Generator) -> None:
    """At least k organizations have it, and active jobs never exceed jobs."""
    orgs = anonymize(population(40), rng, k=5)["orgs"]
    for metric in ("jobs", "active_jobs"):
        assert (orgs[metric] == orgs[metric].max()).sum() >= 5
    assert (orgs["active_jobs"] <= orgs["jobs"]).all()
    assert orgs["jobs"].max() == 37


def test_detail_rows_do_not_betray_what_top_coding_hides(rng: np.random.Generator) -> None:
    """No organization has more job rows than its count says."""
    tables = anonymize(population(40), rng, k=5)
    rows = tables["jobs"].groupby("org").size()
    allowed = tables["orgs"].set_index("org")["jobs"].loc[rows.index]
    assert (rows.to_numpy() <= allowed.to_numpy()).all()


def test_rare_limits_and_texts_are_hidden(rng: np.random.Generator) -> None:
    """A limit or an event that one organization has is blanked."""
    tables = anonymize(population(40), rng, k=5)
    assert set(tables["orgs"]["max_jobs"]) == {1_000, -1}
    assert set(tables["subscriptions"]["event"]) == {"JOB_STATUS_CHANGE", "OTHER"}
    assert set(tables["pipelines"]["definition_bytes"]) == {4_300}


def test_k_1_keeps_every_value(rng: np.random.Generator) -> None:
    """Only keys and order are gone."""
    tables = anonymize(population(40), rng, k=1)
    assert sorted(tables["orgs"]["jobs"]) == [*range(2, 41), 5_000]
    assert len(tables["jobs"]) == sum(range(2, 41)) + 5_000


def test_rows_come_in_random_order(rng: np.random.Generator) -> None:
    """Position says nothing about the organization."""
    orders = {tuple(anonymize(population(40), rng, k=1)["orgs"]["jobs"]) for _ in range(3)}
    assert len(orders) == 3


def test_noise_blurs_counts_but_keeps_zeros_and_rules(rng: np.random.Generator) -> None:
    """Zero stays zero, what is there stays, active jobs never exceed jobs."""
    orgs = anonymize(population(200, giant=900), rng, k=1, noise=0.2)["orgs"]
    exact = anonymize(population(200, giant=900), rng, k=1)["orgs"]
    assert sorted(orgs["jobs"]) != sorted(exact["jobs"])
    assert (orgs["job_templates"] == 0).all()
    assert (orgs["users"] >= 1).all()
    assert (orgs["active_jobs"] <= orgs["jobs"]).all()
    assert orgs["jobs"].sum() == pytest.approx(exact["jobs"].sum(), rel=0.1)


@pytest.mark.parametrize(
    ("k", "noise", "words"), [(5, 0.0, "4 organizations cannot hide among 5"), (1, 1.5, "noise 1.5")]
)
def test_impossible_settings_are_refused(rng: np.random.Generator, k: int, noise: float, words: str) -> None:
    """One sentence each."""
    with pytest.raises(InputError, match=words):
        anonymize(population(4), rng, k=k, noise=noise)


def test_top_coding_keeps_missing_values() -> None:
    """What is not known is not made up."""
    values = pd.Series([1, None, 9, 5, 4])
    assert top_code(values, 2).tolist()[2:] == [5, 5, 4]
    assert top_code(values, 2).isna().sum() == 1
