"""Tables of what users design: pipelines, connections, topologies, SLAs, reports, ACLs."""

from sqlalchemy import Index

from psrlib.hub.store.schema.columns import audit, flag, json, moment, number, serial, table, text

pipelines = table(
    "pipelines",
    "Pipelines and fragments; the content is in commits",
    text("id", "Pipeline id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Title of the latest commit"),
    flag("fragment", "True for a pipeline fragment"),
    flag("template", "True for a pipeline template"),
    text("executor_type", "COLLECTOR or TRANSFORMER"),
    text("execution_mode", "Execution mode of the latest commit"),
    text("latest_commit", "Newest commit, drafts included"),
    text("latest_published", "Newest published commit", nullable=True),
    json("labels", "JSON list of label texts", default=[]),
    *audit(),
    Index("pipelines_by_organization", "organization", "name"),
)

commits = table(
    "commits",
    "Pipeline commits: published versions and at most one draft per pipeline",
    text("id", "Commit id, <uuid>:<organization>", primary_key=True),
    text("pipeline_id", "Pipeline id"),
    text("organization", "Organization id"),
    number("number", "Version number n: the version text is n, or n-DRAFT"),
    flag("draft", "True until published"),
    text("name", "Title"),
    text("description", "Description", default=""),
    text("message", "Commit message", default=""),
    text("committer", "User id"),
    moment("commit_time", "When the commit was made or last saved"),
    text("sdc_id", "Authoring engine", nullable=True),
    text("sdc_version", "Version of the authoring engine", nullable=True),
    text("execution_mode", "Execution mode of this commit"),
    text("definition", "JSON text of pipelineConfig or pipelineFragmentConfig"),
    text("library_definitions", "JSON text of stage definitions", nullable=True),
    text("rules_id", "Rules id, <uuid>:<organization>"),
    text("rules", "JSON text of pipelineRules"),
    json("fragment_commits", "JSON list of fragment commit ids used", default=[]),
    json("connections", "JSON list of connection ids used", default=[]),
    Index("commits_by_pipeline", "pipeline_id", "number"),
)

labels = table(
    "labels",
    "Trees of pipeline labels, job tags and connection tags",
    text("kind", "PIPELINE, JOB or CONNECTION", primary_key=True),
    text("id", "<full/path>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("label", "Full path without the organization"),
    text("parent_id", "Id of the path without its last segment", nullable=True),
    Index("labels_by_organization", "kind", "organization", "label"),
)

connections = table(
    "connections",
    "Connections to outside systems",
    text("id", "Connection id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("description", "Description", nullable=True),
    text("connection_type", "Type such as STREAMSETS_JDBC"),
    text("type_label", "Label of the type", nullable=True),
    text("sdc_id", "Authoring engine", nullable=True),
    text("sdc_version", "Version of the authoring engine", nullable=True),
    text("definition", "JSON text: the configuration", nullable=True),
    text("library_definition", "JSON text: the engine's definition", nullable=True),
    json("tags", "JSON list of tag texts", default=[]),
    *audit(),
    Index("connections_by_organization", "organization", "name"),
)

connection_audits = table(
    "connection_audits",
    "Changes and reads of connections",
    serial("id", "Arrival order"),
    text("organization", "Organization id"),
    text("user_id", "Who"),
    text("connection_id", "Connection id"),
    text("connection_name", "Connection name at the time"),
    moment("time", "When"),
    text("action", "CREATE, UPDATE, DELETE or READ"),
    Index("connection_audits_by_organization", "organization", "time"),
)

topologies = table(
    "topologies",
    "Topologies; the content is in topology_commits",
    text("id", "Topology id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name of the latest commit"),
    text("latest_commit", "Newest commit, drafts included"),
    *audit(),
    Index("topologies_by_organization", "organization", "name"),
)

topology_commits = table(
    "topology_commits",
    "Topology commits",
    text("id", "Commit id, <uuid>:<organization>", primary_key=True),
    text("topology_id", "Topology id"),
    text("organization", "Organization id"),
    number("number", "Version number"),
    flag("draft", "True until published"),
    text("name", "Name"),
    text("description", "Description", nullable=True),
    text("message", "Commit message", nullable=True),
    text("committer", "User id"),
    moment("commit_time", "When the commit was made or last saved"),
    flag("default_topology", "Stored only"),
    text("definition", "JSON text: topologyDefinition", nullable=True),
    Index("topology_commits_by_topology", "topology_id", "number"),
)

slas = table(
    "slas",
    "Data SLAs",
    text("id", "SLA id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("label", "Label"),
    text("topology_id", "Topology id", nullable=True),
    text("topology_commit_id", "Topology commit id", nullable=True),
    text("definition", "JSON text: slaDefinition", nullable=True),
    text("status", "ACTIVE or INACTIVE"),
    json("violating", "JSON list of the job ids beyond a threshold now", default=[]),
    *audit(),
    Index("slas_by_organization", "organization", "label"),
)

report_definitions = table(
    "report_definitions",
    "Report definitions",
    text("id", "Definition id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    json("document", "JSON object: description, times and artifacts as given"),
    *audit(),
    Index("report_definitions_by_organization", "organization", "name"),
)

acls = table(
    "acls",
    "Access control lists of all kinds of objects",
    text("resource_id", "Object id", primary_key=True),
    text("organization", "Organization id"),
    text("resource_type", "JOB, SDC, PIPELINE, ..."),
    text("resource_owner", "User id of the owner"),
    moment("resource_created_time", "When the object was created"),
    json("permissions", "JSON list of permissions", default=[]),
    text("last_modified_by", "User id of the last change"),
    moment("last_modified_on", "When the list was last changed"),
)

acl_audits = table(
    "acl_audits",
    "Changes of access control lists",
    serial("id", "Arrival order"),
    text("organization", "Organization id"),
    text("resource_id", "Object id"),
    text("resource_type", "Kind of object"),
    text("user_id", "Who"),
    moment("time", "When"),
    json("permissions", "JSON list after the change"),
    Index("acl_audits_by_organization", "organization", "time"),
)
