"""The hub's records against the vendor's own names and types (control-hub-4x.json tells where they are from).

The documents are of the 4.x line, which came from 3.x: what the hub has otherwise stands below with its
reason, and an entry that is needed no longer fails as well.
"""

from collections.abc import Iterator
from typing import Any, get_origin

from support.vendor import Vendor, compare, record_in, records

from psrlib.hub.catalog import all_routes

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
    ("jobrunner.JobStatusJson", "enginePipelineId runtimeAttributes", "came with 4.x"),
    ("jobrunner.JobTag", "optimisticLockVersion", ENTITY),
    ("jobrunner.PipelineOffsetJson", "resetOffset", UNKNOWN),
    (
        "jobrunner.SDCJson",
        "buildTime lastShutdownTimestamp memoryUsedPercentage overrideEngineMaxes",
        "came with 4.x",
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
    ("scheduler.RSchedulerJob", "externalEntityId instanceMovePauseTime", "came with 4.x"),
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
        "3.x clients read id, name, type and value",
    ),
    ("security.RoleJson", "requiredRoles", UNKNOWN),
    ("security.SSOPrincipalJson", "containerId filteredEntityManagerEnabled", "came with 4.x"),
    ("security.UserJson", "migrationAliases projectRoles", "came with 4.x"),
    ("security.UserSessionJson", "id lastActivity lastActivityIPAddress", "no activity is kept"),
    ("security.ValidateComponentAuthTokenJson", "containerId", "came with 4.x"),
    ("security.ValidateUserAuthTokenJson", "containerId", "came with 4.x"),
    ("topology.TopologyJson", "projectId", PROJECTS),
]


def held() -> Iterator[tuple[str, Any, str | None]]:
    """Yield app, record and type of each record in bodies and answers of routes that the documents have."""
    for route in all_routes():
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


def differences() -> set[tuple[str, str]]:
    seen: set[Any] = set()
    return {
        difference
        for app, record, name in held()
        if name is not None
        for difference in compare(app, name, record, VENDOR.types[app], seen)
    }


def test_records_have_the_vendors_names_and_types() -> None:
    """Row 23 of the observations: what differs is what the lists above say, no more and no less."""
    listed = {("lacking", f"{record}.{name}") for record, names, _ in LACKING for name in names.split()}
    listed |= {
        ("extra", f"{record}.{name}") for record, (names, _) in EXTRA.items() for name in names.split()
    }
    found = differences()
    assert (sorted(found - listed), sorted(listed - found)) == ([], [])


def test_every_record_is_held_against_a_type() -> None:
    """But for answers that the documents do not tell; each of these is an answer still."""
    unheld = {(get_origin(record) or record).__name__ for _, record, name in held() if name is None}
    assert unheld == set(UNTOLD)


def test_most_operations_are_held_against_the_documents() -> None:
    """So that the comparison does not lose its subject: the paths agree with the vendor's."""
    served = [route for route in all_routes() if VENDOR.operation(route) is not None]
    assert len(served) == len(VENDOR.operations) == 210
