"""The hub's records against the vendor's own names and types (control-hub-4x.json tells where they are from).

The documents are of the 4.x line, which came from 3.x: what the hub has otherwise stands below with its
reason, and an entry that is needed no longer fails as well.
"""

from collections.abc import Iterator
from typing import Any, get_origin

import pytest
from support.vendor import Vendor, compare, record_in, records

from psrlib.hub.catalog import all_routes
from psrlib.hub.web.releases import RELEASES

VENDOR = Vendor()

# records of ours whose name is another one, where the documents name no type for an operation
RENAMED = {"EngineJson": "SDCJson", "EngineUpdateJson": "SDCJson", "ConfigJson": "OrganizationConfigJson"}
# answers that the documents do not tell, or tell wrongly
UNTOLD = {
    "AddOnsJson": "3.x clients read enabled",
    "CountJson": "3.x clients read count",
    "StatusCountsJson": "3.x clients read data, status and count",
    "ImportedJobJson": "3.x clients read minimalJobJson",
    "ActionAuditJson": "3.x clients read subscriptionName, eventName, externalActionType and createdTime",
    "AlertJson": "3.x clients read all of it",
    "IssueJson": "3.x clients read code, message and additionalInfo",
    "CheckedTopologyJson": "with validate=true 3.x clients read topology and issues",
    "CurrentStatusJson": "of a job that never ran: a part of JobStatusJson",
}

EXTRA = {
    "pipelinestore.PipelineJson": ("creator", "3.x clients read it"),
    "scheduler.RSchedulerJob": (
        "executionInfo.action jobId jobName reportId reportName",
        "3.x clients write and read them",
    ),
    "scheduler.DBeanDBean": ("action value", "the documents name the base class; 3.x clients write action"),
    "security.LoginAuditJson": ("org_id", "clients of 3.x and 4.x read it"),
}

NEW = "came with 4.x"
CONFIGURATION = "3.x clients read id, name, type and value"
PROJECTS = "projects came with 4.x"
CI = "builds by another system came with 4.x"
ENTITY = "how a hub keeps its rows; no 3.x client reads it"
ENVELOPE = "no 3.x client reads more of the envelope than response and paginationInfo"
UNKNOWN = "no 3.x document, recording or client has it"
LACKING = [
    ("connection.ConnectionJson", "projectId", PROJECTS),
    ("connection.ConnectionJson", "verifierStagelib", UNKNOWN),
    ("connection.ConnectionTag", "optimisticLockVersion", ENTITY),
    ("connection.PipelineConnectionJson", "connectionId fragment lastModifiedOn", UNKNOWN),
    ("jobrunner.AckTrackerJson", "eventTypeId", UNKNOWN),
    (
        "jobrunner.AclAuditJson",
        "action fieldType ipAddress oldValue subjectId",
        "one row a change; a real hub's words for actions and fields are not known",
    ),
    ("jobrunner.JobJson", "effectiveParameters", UNKNOWN),
    ("jobrunner.JobJson", "projectId", PROJECTS),
    ("jobrunner.JobStatusHistoryJson", "message", "3.x clients read user, time and status"),
    ("jobrunner.JobStatusJson", "enginePipelineId runtimeAttributes", NEW),
    ("jobrunner.JobTag", "optimisticLockVersion", ENTITY),
    ("jobrunner.PipelineOffsetJson", "resetOffset", UNKNOWN),
    (
        "jobrunner.SDCJson",
        "buildTime lastShutdownTimestamp memoryUsedPercentage overrideEngineMaxes",
        NEW,
    ),
    ("notification.EventSubscriptionJson", "deleteTime destroyer", UNKNOWN),
    ("pipelinestore.PipelineJson", "ciConfig currentExternalCIStatus externalCiStatuses", CI),
    (
        "pipelinestore.PipelineJson",
        "definitionRemoveMessage definitionRemoveTime definitionRemover provenanceMetaData system",
        UNKNOWN,
    ),
    ("pipelinestore.PipelineJson", "projectId", PROJECTS),
    ("pipelinestore.PipelineLabel", "containerId optimisticLockVersion", ENTITY),
    ("pipelinestore.PipelineLabelJson", "projectId", PROJECTS),
    (
        "pipelinestore.RulesJson",
        "commitId definitionRemoveMessage definitionRemoveTime definitionRemover message name rulesCommitter "
        "rulesTime",
        "3.x clients read id and rulesDefinition",
    ),
    ("provisioning.DeploymentJson", "deleteTime deploymentName destroyer", UNKNOWN),
    (
        "provisioning.DeploymentStatusJson",
        "finishTime id instanceInfos lastReportedTime lastSeenFromAgentTimestamp message name previousId "
        "runCount startTime timeStamp title user",
        "3.x clients read deploymentId, status and dpmAgent; nothing is deployed here",
    ),
    ("provisioning.DpmAgentJson", "clusterInfo deploymentStatus deploymentStatusIds namespace", UNKNOWN),
    ("scheduler.DBeanDBean", "id messages optimisticLockVersion readOnlySignature", ENTITY),
    *(
        (f"scheduler.Ok{name}", "httpStatusCode messages metadataUrl type version", ENVELOPE)
        for name in (
            "PaginationRestResponseRSchedulerJob",
            "RestMultiResponseRSchedulerJob",
            "RestResponseRSchedulerJob",
            "RestResponseRSchedulerTypeJobSelector",
        )
    ),
    ("scheduler.OkPaginationRestResponseRSchedulerJob", "breadcrumbValue", ENVELOPE),
    ("scheduler.PaginationInfo", "filterBy orderBy", ENVELOPE),
    (
        "scheduler.RSchedulerAudit",
        "messages newValue oldValue optimisticLockVersion organizationId readOnlySignature",
        ENTITY,
    ),
    (
        "scheduler.RSchedulerJob",
        "executionInfoMetadata optimisticLockVersion readOnlySignature",
        ENTITY,
    ),
    ("scheduler.RSchedulerJob", "externalEntityId instanceMovePauseTime", NEW),
    ("scheduler.RSchedulerRun", "messages optimisticLockVersion readOnlySignature", ENTITY),
    (
        "scheduler.RSchedulerTypeJobSelector",
        "id messages optimisticLockVersion readOnlySignature",
        ENTITY,
    ),
    ("security.ComponentJson", "projectId", PROJECTS),
    ("security.ComponentJson", "roles", UNKNOWN),
    ("security.ComponentVersionRangeJson", "componentMinBuildDate", UNKNOWN),
    ("security.GroupJson", "projectRoles", PROJECTS),
    (
        "security.OrganizationConfigJson",
        "defaultValue dependsOnConfig dependsOnValue orgModifiable possibleValues secret",
        CONFIGURATION,
    ),
    ("security.RoleJson", "requiredRoles", UNKNOWN),
    ("security.SSOPrincipalJson", "containerId filteredEntityManagerEnabled", NEW),
    ("security.UserJson", "migrationAliases projectRoles", NEW),
    ("security.ValidateComponentAuthTokenJson", "containerId", NEW),
    ("security.ValidateUserAuthTokenJson", "containerId", NEW),
    ("topology.TopologyJson", "projectId", PROJECTS),
]

# what release 4 has besides, null where the hub knows nothing of it
FILLED_BY_4 = {PROJECTS, CI, UNKNOWN, NEW, "3.x clients read id and rulesDefinition", CONFIGURATION}
LACKING_4 = [entry for entry in LACKING if entry[2] not in FILLED_BY_4]
SUBTYPE = "of a sub-type, whose own fields the documents lack: the vendor's SDK reads and sends them"
EXTRA_4 = {record: entry for record, entry in EXTRA.items() if record != "pipelinestore.PipelineJson"} | {
    "pipelinestore.PipelineLabel": ("projectId", "PipelineLabelJson has it: one record here"),
    "provisioning.CspDeploymentJson": ("installType", SUBTYPE),
    "sequencing.CFinishCondition": ("crontabMask endTime timezone", SUBTYPE),
    "sequencing.RFinishCondition": ("crontabMask endTime timezone", SUBTYPE),
    "sequencing.RStep": ("jobs", SUBTYPE),
}
UNTOLD_4 = {"TagJson": "of jobs, keyed by their ids: the documents say object"}


def held(release: int) -> Iterator[tuple[str, Any, str | None]]:
    """Yield app, record and type of each record in bodies and answers of routes that the documents have."""
    for route in all_routes(release):
        operation = VENDOR.operation(route)
        if operation is None:
            continue
        types = VENDOR.types[route.segments[0]]
        sides = (("body", route.signature.body), ("answer", route.signature.returns))
        for side, kind in sides:
            for record in records(kind):
                ours = (get_origin(record) or record).__name__
                wanted = (ours, record_in(operation.get(side)), RENAMED.get(ours))
                name = next((name for name in wanted if name in types), None)
                yield route.segments[0], record, None if ours in UNTOLD else name


def differences(release: int) -> set[tuple[str, str]]:
    seen: set[Any] = set()
    return {
        difference
        for app, record, name in held(release)
        if name is not None
        for difference in compare(app, name, record, VENDOR.types[app], seen, RELEASES[release])
    }


@pytest.mark.parametrize(("release", "lacking", "extra"), [(3, LACKING, EXTRA), (4, LACKING_4, EXTRA_4)])
def test_records_have_the_vendors_names_and_types(release: int, lacking: Any, extra: Any) -> None:
    """Row 23 of the observations: what differs is what the lists above say, no more and no less."""
    listed = {("lacking", f"{record}.{name}") for record, names, _ in lacking for name in names.split()}
    listed |= {
        ("extra", f"{record}.{name}") for record, (names, _) in extra.items() for name in names.split()
    }
    found = differences(release)
    assert (sorted(found - listed), sorted(listed - found)) == ([], [])


@pytest.mark.parametrize(("release", "untold"), [(3, UNTOLD), (4, UNTOLD | UNTOLD_4)])
def test_every_record_is_held_against_a_type(release: int, untold: dict[str, str]) -> None:
    """But for answers that the documents do not tell; each of these is an answer still."""
    unheld = {(get_origin(record) or record).__name__ for _, record, name in held(release) if name is None}
    assert unheld == set(untold)


def test_most_operations_are_held_against_the_documents() -> None:
    """So that the comparison does not lose its subject: the paths agree with the vendor's."""
    for release, n in ((3, 204), (4, 277)):
        served = [route for route in all_routes(release) if VENDOR.operation(route) is not None]
        assert len(served) == n
    assert len(VENDOR.operations) == 277
