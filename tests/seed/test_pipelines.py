"""Pipeline documents hold the engine's rules and the record's numbers."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from support.validation import violations

from psrlib.seed import SeedDocument, fragment_definition, pipeline_definition
from psrlib.seed.document import Organization, Pipeline
from psrlib.seed.pipelines import CONNECTIONS

Commit = tuple[Organization, Pipeline, int, dict[str, Any]]


@pytest.fixture(scope="module")
def commits(rich_seed: SeedDocument) -> list[Commit]:
    """Every commit of the document: organization, pipeline, number and pipeline document."""
    return [
        (organization, pipeline, commit, pipeline_definition(rich_seed, organization, pipeline, commit)[0])
        for organization in rich_seed.organizations
        for pipeline in organization.pipelines
        for commit in range(1, pipeline.commits + 1)
    ]


def entry(config: dict[str, Any], name: str) -> Any:
    return next(e["value"] for e in config["configuration"] if e["name"] == name)


def test_every_commit_holds_the_engine_rules(commits: list[Commit]) -> None:
    """No generated document of sixty organizations breaks a replayed validation rule."""
    assert len(commits) > 1000
    for organization, pipeline, _, config in commits:
        assert violations(config) == [], (organization.id, pipeline)


def test_every_drawn_shape_can_be_laid_out(rich_seed: SeedDocument) -> None:
    """All combinations of stages, branches and event lane hold the rules, also ones nobody published."""
    organization = rich_seed.organizations[0]
    for stages in range(2, 14):
        for event_lane in (False, True):
            for branches in range(1, stages - event_lane):
                pipeline = msgspec.structs.replace(
                    organization.pipelines[0],
                    stages=stages,
                    branches=branches,
                    event_lane=event_lane,
                    fragment=None,
                )
                config, _ = pipeline_definition(rich_seed, organization, pipeline, 1)
                assert violations(config) == []
                assert shape(config) == (stages, branches, event_lane)


def shape(config: dict[str, Any]) -> tuple[int, int, bool]:
    """Count stages, data destinations and event consumers from the lanes alone."""
    events = {lane for stage in config["stages"] for lane in stage["eventLanes"]}
    ends = [stage for stage in config["stages"] if not stage["outputLanes"]]
    on_events = [stage for stage in ends if events & set(stage["inputLanes"])]
    return len(config["stages"]), len(ends) - len(on_events), bool(on_events)


def test_the_document_has_the_numbers_of_the_record(commits: list[Commit]) -> None:
    """Stages, branches, event lane, labels, parameters and name are those of the record in each commit."""
    for _, pipeline, _, config in commits:
        assert shape(config) == (pipeline.stages, pipeline.branches, pipeline.event_lane)
        assert config["title"] == pipeline.name
        assert config["metadata"]["labels"] == pipeline.labels
        assert {c["key"]: c["value"] for c in entry(config, "constants")} == pipeline.parameters
        assert len(config.get("fragments", [])) == bool(pipeline.fragment)


def test_a_definition_is_as_large_as_its_record_says(rich_seed: SeedDocument) -> None:
    """Larger ones by notes on stages, which change nothing else; none is made smaller than it is."""
    organization = next(o for o in rich_seed.organizations if o.pipelines)
    for pipeline in organization.pipelines:
        plain, _ = pipeline_definition(rich_seed, organization, pipeline, 1)
        size = len(orjson.dumps(plain))
        for wanted in (size - 1, size, size + 1, size + 1000, 100_000):
            resized = msgspec.structs.replace(pipeline, definition_bytes=wanted)
            config, _ = pipeline_definition(rich_seed, organization, resized, 1)
            assert len(orjson.dumps(config)) == max(size, wanted)
            for stage in config["stages"]:
                stage["uiInfo"]["description"] = ""
            assert config == plain


def test_a_parameter_is_used_where_an_expression_evaluator_is(commits: list[Commit]) -> None:
    """Runtime parameters are not only declared: evaluators compute with them."""
    used = 0
    for _, pipeline, commit, config in commits:
        if commit > 1 or not pipeline.parameters:
            continue
        for stage in config["stages"]:
            if stage["instanceName"].startswith("ExpressionEvaluator"):
                assert all(f"${{{name}}}" in json.dumps(stage) for name in pipeline.parameters)
                used += 1
    assert used > 20


def test_metrics_go_to_control_hub(commits: list[Commit]) -> None:
    """Without the direct statistics stage a hub sees no metrics of a job."""
    for *_, config in commits:
        assert config["statsAggregatorStage"]["stageName"].endswith("_StatsDpmDirectlyDTarget")


def test_commits_of_a_pipeline_differ_and_repeat(rich_seed: SeedDocument) -> None:
    """Each commit is another document with the same pipeline id, and the same one every time."""
    organization, pipeline = next(
        (o, p) for o in rich_seed.organizations for p in o.pipelines if p.commits >= 3
    )
    commits = [pipeline_definition(rich_seed, organization, pipeline, n + 1) for n in range(pipeline.commits)]
    texts = {orjson.dumps(config["stages"]) for config, _ in commits}
    assert len(texts) == pipeline.commits
    assert len({config["uuid"] for config, _ in commits}) == pipeline.commits
    assert len({config["pipelineId"] for config, _ in commits}) == 1
    assert pipeline_definition(rich_seed, organization, pipeline, 1) == commits[0]


def test_connections_are_one_text(commits: list[Commit]) -> None:
    """Row 1 of the observations: ids joined by commas, the empty text for none, never a list."""
    found = [
        (pipeline.connection or "", config["metadata"][CONNECTIONS]) for _, pipeline, _, config in commits
    ]
    assert all(used == text for used, text in found)
    assert {bool(used) for used, _ in found} == {True, False}


def test_a_definition_says_that_it_is_valid(rich_seed: SeedDocument, commits: list[Commit]) -> None:
    """Row 4 of the observations: fields that all of 129 real definitions have, under the vendor's names."""
    documents = [config for *_, config in commits]
    documents += [body for config in documents for body in config.get("fragments", [])]
    documents += [
        fragment_definition(rich_seed, o, f)[0] for o in rich_seed.organizations for f in o.fragments
    ]
    assert any("fragmentId" in document for document in documents)
    for document in documents:
        assert document["valid"] is True
        assert document["previewable"] is True
        assert document["issues"] == {"stageIssues": {}, "pipelineIssues": [], "issueCount": 0}
        info = document["info"]
        assert (info["valid"], info["metadata"], info["sdcId"]) == (
            True,
            document["metadata"],
            "SYSTEM_SDC_ID",
        )


@pytest.mark.parametrize("commit", [0, 99])
def test_a_commit_that_is_not_there_is_refused(tiny_seed: SeedDocument, commit: int) -> None:
    """Commits are numbered from 1 to the record's count."""
    organization = tiny_seed.organizations[0]
    with pytest.raises(ValueError, match="has commits 1 to"):
        pipeline_definition(tiny_seed, organization, organization.pipelines[0], commit)


def test_rules_are_the_four_disabled_defaults(tiny_seed: SeedDocument) -> None:
    """Alerts have an expression as condition and are off; no mail leaves the machine."""
    organization = tiny_seed.organizations[0]
    _, rules = pipeline_definition(tiny_seed, organization, organization.pipelines[0], 1)
    metric_rules = rules["metricsRuleDefinitions"]
    assert (rules["schemaVersion"], rules["version"], len(metric_rules)) == (3, 2, 4)
    assert all(rule["condition"].startswith("${") and "value()" in rule["condition"] for rule in metric_rules)
    assert not any(rule["enabled"] or rule["sendEmail"] for rule in metric_rules)


def test_a_fragment_has_its_stages_and_joins_its_pipelines(rich_seed: SeedDocument) -> None:
    """The fragment's own document and its copy in a pipeline have the same id and the same stage count."""
    users: list[tuple[Any, Pipeline]] = [
        (o, p) for o in rich_seed.organizations for p in o.pipelines if p.fragment
    ]
    assert users
    for organization, pipeline in users:
        fragment = next(f for f in organization.fragments if f.key == pipeline.fragment)
        own, _ = fragment_definition(rich_seed, organization, fragment)
        config, _ = pipeline_definition(rich_seed, organization, pipeline, 1)
        copy = config["fragments"][0]
        assert own["fragmentId"] == copy["fragmentId"]
        assert len(own["stages"]) == len(copy["stages"]) == fragment.stages
        assert config["schemaVersion"] == 6


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda c: c["stages"].pop(), "VALIDATION_0011"),
        (lambda c: c["stages"][1]["inputLanes"].append("nowhere"), "VALIDATION_0002"),
        (lambda c: c["stages"][-1].update(instanceName=c["stages"][0]["instanceName"]), "VALIDATION_0005"),
        (
            lambda c: c["stages"][0]["configuration"].append({"name": "speed", "value": 1}),
            "VALIDATION_0008",
        ),
        (lambda c: c["stages"][0]["configuration"].pop(0), "VALIDATION_0007"),
        (lambda c: c["stages"][0].update(stageVersion="6"), "CONTAINER_0902"),
        (lambda c: c.update(errorStage=c["stages"][-1]), "CREATION_007"),
        (lambda c: c.update(title=""), "VALIDATION_0093"),
        (lambda c: c["stages"].append(c["errorStage"]), "VALIDATION_0037"),
    ],
    ids=["0011", "0002", "0005", "0008", "0007", "0902", "creation-007", "0093", "0037"],
)
def test_the_replayed_rules_find_damage(
    rich_seed: SeedDocument, damage: Callable[[Any], None], code: str
) -> None:
    """The rules are worth something: each kind of damage is reported under the engine's code."""
    organization = rich_seed.organizations[0]
    config, _ = pipeline_definition(rich_seed, organization, organization.pipelines[0], 1)
    config = json.loads(json.dumps(config))
    damage(config)
    assert any(code in line for line in violations(config))
