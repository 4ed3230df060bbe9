"""The releases that the embedded hub can be, and the names of fields that the later one has changed.

The names and types are the vendor's own (control-hub-4x.md, section 6); what is not known of a field is null.
"""

from typing import Any

from psrlib.errors import InputError
from psrlib.hub.web.release import Field, Fields, Release

TEXT = (str | None, None)
TEXTS = (list[str] | None, None)
NUMBER = (int | None, None)
SHARE = (float | None, None)
FLAG = (bool | None, False)
OBJECT = (dict[str, Any] | None, None)
OBJECTS = (list[dict[str, Any]] | None, None)
NONE: Field = (list[str], [])

_ENGINE = Fields(
    buildTime=NUMBER, lastShutdownTimestamp=NUMBER, memoryUsedPercentage=SHARE, overrideEngineMaxes=FLAG
)
_IN_PROJECT = Fields(projectId=TEXT)
_IN_CONTAINER = Fields(containerId=TEXT)

FIELDS_4 = {
    "AckTrackerJson": Fields(eventTypeId=NUMBER),
    "ComponentJson": Fields(projectId=TEXT, roles=TEXTS),
    "ComponentVersionRangeJson": Fields(componentMinBuildDate=TEXT),
    "ConnectionJson": Fields(projectId=TEXT, verifierStagelib=TEXT),
    "ComponentTokenJson": _IN_CONTAINER,
    "DeploymentJson": Fields(deleteTime=NUMBER, deploymentName=TEXT, destroyer=TEXT),
    "DpmAgentJson": Fields(
        clusterInfo=OBJECT, deploymentStatus=OBJECTS, deploymentStatusIds=TEXTS, namespace=TEXT
    ),
    "EngineJson": _ENGINE,
    "EngineUpdateJson": _ENGINE,
    "EventSubscriptionJson": Fields(deleteTime=NUMBER, destroyer=TEXT),
    "GroupJson": Fields(projectRoles=NONE),
    "JobJson": Fields(effectiveParameters=TEXT, projectId=TEXT),
    "JobStatusJson": Fields(enginePipelineId=TEXT, runtimeAttributes=OBJECTS),
    "LabelJson": _IN_PROJECT,
    "PipelineJson": Fields(
        less=["creator"],
        ciConfig=OBJECT,
        currentExternalCIStatus=OBJECT,
        externalCiStatuses=OBJECTS,
        definitionRemoveMessage=TEXT,
        definitionRemoveTime=NUMBER,
        definitionRemover=TEXT,
        projectId=TEXT,
        provenanceMetaData=OBJECT,
        system=FLAG,
    ),
    "PipelineOffsetJson": Fields(resetOffset=FLAG),
    "RoleJson": Fields(requiredRoles=TEXTS),
    "RulesJson": Fields(
        commitId=TEXT,
        definitionRemoveMessage=TEXT,
        definitionRemoveTime=NUMBER,
        definitionRemover=TEXT,
        message=TEXT,
        name=TEXT,
        rulesCommitter=TEXT,
        rulesTime=NUMBER,
    ),
    "SSOPrincipalJson": Fields(containerId=TEXT, filteredEntityManagerEnabled=FLAG),
    "TaskJson": Fields(externalEntityId=OBJECT, instanceMovePauseTime=OBJECT),
    "TopologyJson": _IN_PROJECT,
    "UserTokenJson": _IN_CONTAINER,
    "UsingCommitJson": Fields(connectionId=TEXT, fragment=(bool | None, None), lastModifiedOn=NUMBER),
    "UserJson": Fields(migrationAliases=NONE, projectRoles=NONE),
}

RELEASES = {
    # a 3.x release with connections and pipeline drafts (control-hub-rest.md, 9.1)
    3: Release(3, "3.22.0"),
    # what a real one answers is not known; neither is the bound, but the vendor's SDK asks for 250 at a time
    4: Release(4, "4.0.0-embedded", largest_page=250, has_draft_runs=True, fields=FIELDS_4),
}


def find_release(number: int) -> Release:
    """Return the release with a number; InputError for one that the hub cannot be."""
    if number not in RELEASES:
        raise InputError(f"release {number}: the embedded hub can be {' or '.join(map(str, RELEASES))}")
    return RELEASES[number]
