"""How many pipelines engines have to run at once, and how many they can."""

import logging
from pathlib import Path

import pytest
from msgspec.structs import replace

from psrlib import paths
from psrlib.errors import InputError
from psrlib.seed import SeedDocument, create_seed_file, load_seed
from psrlib.seed.capacity import DEFAULT, engine_needs, find_shortage, find_shortages, max_pipelines
from psrlib.seed.document import Engine, Job, Organization


def organization(
    tiny_seed: SeedDocument, engines: list[list[str]], jobs: list[tuple[list[str], int]]
) -> Organization:
    """Return an organization with engines of these labels, and active jobs of these labels and instances."""
    model = tiny_seed.organizations[0].jobs[0]
    return replace(
        tiny_seed.organizations[0],
        engines=[
            Engine(f"engine-{n}", "COLLECTOR", f"http://e:{n}", labels)
            for n, labels in enumerate(engines, start=1)
        ],
        jobs=[
            replace(
                model,
                key=f"job-{n}",
                status="ACTIVE",
                is_template=False,
                labels=labels,
                instances=instances,
            )
            for n, (labels, instances) in enumerate(jobs)
        ],
    )


ALL, EAST, WEST = ["all"], ["all", "east"], ["all", "west"]


@pytest.mark.parametrize(
    ("engines", "jobs", "found"),
    [
        ([ALL], [(ALL, 1)] * 22, None),
        ([ALL], [(ALL, 1)] * 23, (("all",), 1, 23)),
        ([ALL, ALL], [(ALL, 1)] * 45, (("all",), 2, 45)),
        ([ALL, ALL], [(ALL, 2)] * 22, None),
        ([ALL, ALL], [(ALL, 2)] * 23, (("all",), 2, 46)),
        ([ALL, ALL], [(ALL, -1)] * 23, (("all",), 2, 46)),
        ([ALL], [(ALL, 5)] * 22, None),
        ([EAST, WEST], [(EAST, 1)] * 30 + [(WEST, 1)] * 5, (("all", "east"), 1, 30)),
        ([EAST, WEST], [(EAST, 1)] * 20 + [(ALL, 1)] * 30, (("all",), 2, 50)),
        ([EAST, WEST], [(EAST, 1)] * 20 + [(ALL, 1)] * 20, None),
        ([ALL], [(["nowhere"], 1)] * 50, None),
        ([], [(ALL, 1)] * 50, None),
    ],
    ids=[
        *("full", "one too many", "two engines", "two instances fit", "two instances", "every engine"),
        *("no more instances than engines", "one label", "general after special", "shared out"),
        *("no engine fits", "no engine"),
    ],
)
def test_active_instances_are_held_against_the_engines_that_fit(
    tiny_seed: SeedDocument,
    engines: list[list[str]],
    jobs: list[tuple[list[str], int]],
    found: tuple[tuple[str, ...], int, int] | None,
) -> None:
    """An instance of a job runs on an engine of its own that has all labels of the job."""
    shortage = find_shortage(organization(tiny_seed, engines, jobs), DEFAULT)
    assert (shortage and (shortage.labels, shortage.engines, shortage.instances)) == found


def test_only_active_jobs_on_data_collectors_count(tiny_seed: SeedDocument) -> None:
    """Neither templates nor inactive jobs want threads, and a Transformer has none for them."""

    def changed(job: Job, number: int) -> Job:
        return replace(job, is_template=True) if number % 2 else replace(job, status="INACTIVE")

    busy = organization(tiny_seed, [ALL], [(ALL, 1)] * 50)
    idle = replace(busy, jobs=[changed(job, n) for n, job in enumerate(busy.jobs)])
    assert (find_shortage(busy, DEFAULT) is None, find_shortage(idle, DEFAULT)) == (False, None)
    other = replace(busy, engines=[*busy.engines, replace(busy.engines[0], key="t", type="TRANSFORMER")])
    assert find_shortage(other, DEFAULT) == find_shortage(busy, DEFAULT)


def test_needs_of_engines_share_jobs_out_evenly(tiny_seed: SeedDocument) -> None:
    """The most that any set of labels brings to an engine."""
    found = engine_needs(organization(tiny_seed, [EAST, WEST], [(EAST, 1)] * 30 + [(ALL, 1)] * 15))
    assert found == {"engine-1": 30, "engine-2": 23}


def test_a_shortage_says_what_to_do(tiny_seed: SeedDocument) -> None:
    """Organization, figures, the engine's code, the setting and who writes it."""
    text = str(find_shortage(organization(tiny_seed, [ALL, ALL], [(ALL, 1)] * 45), DEFAULT))
    assert text.startswith(
        f"{tiny_seed.organizations[0].id}: active jobs want 45 pipelines at once on 2 engines"
    )
    for word in (
        "22 each",
        "1 will fail",
        "CONTAINER_0166",
        "runner.thread.pool.size",
        "23 each",
        "configure",
    ):
        assert word in text


def test_the_limit_is_a_variable_of_the_document(tiny_seed: SeedDocument) -> None:
    """A document without it means the vendor's default."""
    busy = organization(tiny_seed, [ALL], [(ALL, 1)] * 45)
    document = replace(tiny_seed, organizations=[busy])
    assert len(find_shortages(document)) == 1
    assert find_shortages(replace(document, variables={"engine_max_pipelines": "45"})) == []
    assert max_pipelines({}) == DEFAULT


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", "²", "9" * 400])
def test_a_limit_that_is_no_number_is_an_error(text: str) -> None:
    """Naming the variable and what came."""
    with pytest.raises(InputError, match=r"engine_max_pipelines.*whole number"):
        max_pipelines({"engine_max_pipelines": text})


@pytest.mark.parametrize("workers", [1, 2])
def test_creating_a_document_names_organizations_that_want_too_much(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    """What is logged is what the document read back shows; some of eight documents have such a one."""
    path, named = tmp_path / "seed.json", 0
    for random_seed in range(8):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            create_seed_file(paths.MODEL, random_seed, 10, path, workers)
        assert [str(shortage) for shortage in find_shortages(load_seed(path))] == caplog.messages
        named += len(caplog.messages)
    assert named
