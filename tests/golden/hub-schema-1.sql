CREATE TABLE tasks (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  job_id TEXT NOT NULL,
  action TEXT NOT NULL,
  cron TEXT NOT NULL,
  time_zone TEXT NOT NULL,
  status TEXT NOT NULL,
  missed TEXT NOT NULL,
  start_time BIGINT NOT NULL,
  end_time BIGINT NOT NULL,
  next_time BIGINT NOT NULL,
  document TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX tasks_due ON tasks (status, next_time);
CREATE INDEX tasks_by_organization ON tasks (organization, name);
CREATE TABLE task_runs (
  id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  scheduled_time BIGINT NOT NULL,
  time BIGINT NOT NULL,
  status TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX task_runs_by_task ON task_runs (task_id, scheduled_time);
CREATE TABLE task_audits (
  id INTEGER NOT NULL,
  task_id TEXT NOT NULL,
  action TEXT NOT NULL,
  user_id TEXT NOT NULL,
  time BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX task_audits_by_task ON task_audits (task_id);
CREATE TABLE subscriptions (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  enabled BOOLEAN NOT NULL,
  deleted BOOLEAN NOT NULL,
  events TEXT NOT NULL,
  actions TEXT NOT NULL,
  error_message TEXT,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX subscriptions_by_organization ON subscriptions (organization, name);
CREATE TABLE action_runs (
  id INTEGER NOT NULL,
  organization TEXT NOT NULL,
  subscription_id TEXT NOT NULL,
  subscription_name TEXT NOT NULL,
  event TEXT NOT NULL,
  action_type TEXT NOT NULL,
  "values" TEXT NOT NULL,
  state TEXT NOT NULL,
  message TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  created_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX action_runs_waiting ON action_runs (state);
CREATE INDEX action_runs_by_organization ON action_runs (organization, created_on);
CREATE TABLE alerts (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  label TEXT NOT NULL,
  status TEXT NOT NULL,
  type TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  rule_id TEXT,
  additional_info TEXT,
  triggered_on BIGINT NOT NULL,
  acked_by TEXT,
  acked_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX alerts_by_organization ON alerts (organization, status);
CREATE TABLE agents (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  url TEXT NOT NULL,
  last_reported_time BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX agents_by_organization ON agents (organization);
CREATE TABLE deployments (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  labels TEXT NOT NULL,
  instances BIGINT NOT NULL,
  spec TEXT,
  agent_id TEXT,
  status TEXT NOT NULL,
  error_message TEXT,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX deployments_by_organization ON deployments (organization, name);
CREATE TABLE pipelines (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  fragment BOOLEAN NOT NULL,
  template BOOLEAN NOT NULL,
  executor_type TEXT NOT NULL,
  execution_mode TEXT NOT NULL,
  latest_commit TEXT NOT NULL,
  latest_published TEXT,
  labels TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX pipelines_by_organization ON pipelines (organization, name);
CREATE TABLE commits (
  id TEXT NOT NULL,
  pipeline_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  number BIGINT NOT NULL,
  draft BOOLEAN NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  message TEXT NOT NULL,
  committer TEXT NOT NULL,
  commit_time BIGINT NOT NULL,
  sdc_id TEXT,
  sdc_version TEXT,
  execution_mode TEXT NOT NULL,
  definition TEXT NOT NULL,
  library_definitions TEXT,
  rules_id TEXT NOT NULL,
  rules TEXT NOT NULL,
  fragment_commits TEXT NOT NULL,
  connections TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX commits_by_pipeline ON commits (pipeline_id, number);
CREATE TABLE commit_tags (
  id TEXT NOT NULL,
  pipeline_id TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  name TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE labels (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  label TEXT NOT NULL,
  parent_id TEXT,
  PRIMARY KEY (kind, id)
);
CREATE INDEX labels_by_organization ON labels (kind, organization, label);
CREATE TABLE connections (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  connection_type TEXT NOT NULL,
  type_label TEXT,
  sdc_id TEXT,
  sdc_version TEXT,
  definition TEXT,
  library_definition TEXT,
  tags TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX connections_by_organization ON connections (organization, name);
CREATE TABLE connection_audits (
  id INTEGER NOT NULL,
  organization TEXT NOT NULL,
  user_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  connection_name TEXT NOT NULL,
  time BIGINT NOT NULL,
  action TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX connection_audits_by_organization ON connection_audits (organization, time);
CREATE TABLE topologies (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  latest_commit TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX topologies_by_organization ON topologies (organization, name);
CREATE TABLE topology_commits (
  id TEXT NOT NULL,
  topology_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  number BIGINT NOT NULL,
  draft BOOLEAN NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  message TEXT,
  committer TEXT NOT NULL,
  commit_time BIGINT NOT NULL,
  default_topology BOOLEAN NOT NULL,
  definition TEXT,
  PRIMARY KEY (id)
);
CREATE INDEX topology_commits_by_topology ON topology_commits (topology_id, number);
CREATE TABLE slas (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  label TEXT NOT NULL,
  topology_id TEXT,
  topology_commit_id TEXT,
  definition TEXT,
  status TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX slas_by_organization ON slas (organization, label);
CREATE TABLE report_definitions (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX report_definitions_by_organization ON report_definitions (organization, name);
CREATE TABLE reports (
  id TEXT NOT NULL,
  definition_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  trigger_time BIGINT NOT NULL,
  content TEXT,
  PRIMARY KEY (id)
);
CREATE INDEX reports_by_definition ON reports (definition_id, trigger_time);
CREATE TABLE acls (
  resource_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  resource_owner TEXT NOT NULL,
  resource_created_time BIGINT NOT NULL,
  permissions TEXT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (resource_id)
);
CREATE TABLE acl_audits (
  id INTEGER NOT NULL,
  organization TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  user_id TEXT NOT NULL,
  time BIGINT NOT NULL,
  permissions TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX acl_audits_by_organization ON acl_audits (organization, time);
CREATE TABLE engines (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  http_url TEXT NOT NULL,
  version TEXT NOT NULL,
  executor_type TEXT NOT NULL,
  labels TEXT NOT NULL,
  reported_labels TEXT NOT NULL,
  offset_protocol BIGINT NOT NULL,
  total_memory BIGINT NOT NULL,
  start_up_time BIGINT NOT NULL,
  last_reported_time BIGINT NOT NULL,
  cpu_load FLOAT NOT NULL,
  used_memory FLOAT NOT NULL,
  max_cpu_load FLOAT NOT NULL,
  max_memory_used FLOAT NOT NULL,
  max_pipelines BIGINT NOT NULL,
  deployment_id TEXT,
  build TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX engines_by_organization ON engines (organization);
CREATE TABLE jobs (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  pipeline_id TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  executor_type TEXT NOT NULL,
  template BOOLEAN NOT NULL,
  template_id TEXT,
  labels TEXT NOT NULL,
  tags TEXT NOT NULL,
  instances BIGINT NOT NULL,
  migrate_offsets BOOLEAN NOT NULL,
  settings TEXT NOT NULL,
  current_run TEXT,
  archived BOOLEAN NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX jobs_by_template ON jobs (template_id);
CREATE INDEX jobs_by_organization ON jobs (organization, name);
CREATE INDEX jobs_by_commit ON jobs (commit_id);
CREATE TABLE runs (
  id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  commit_label TEXT NOT NULL,
  user_id TEXT NOT NULL,
  run_count BIGINT NOT NULL,
  status TEXT NOT NULL,
  color TEXT NOT NULL,
  start_time BIGINT NOT NULL,
  finish_time BIGINT NOT NULL,
  changed_on BIGINT NOT NULL,
  error_message TEXT,
  warnings TEXT NOT NULL,
  parameters TEXT,
  groups TEXT NOT NULL,
  open BOOLEAN NOT NULL,
  failovers BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX runs_by_job ON runs (job_id, run_count);
CREATE INDEX runs_open ON runs (open);
CREATE INDEX runs_by_organization ON runs (organization);
CREATE TABLE run_events (
  id INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  time BIGINT NOT NULL,
  status TEXT NOT NULL,
  color TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX run_events_by_run ON run_events (run_id);
CREATE TABLE instances (
  id INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  engine_id TEXT NOT NULL,
  name TEXT NOT NULL,
  title TEXT,
  slot BIGINT NOT NULL,
  status TEXT NOT NULL,
  status_time BIGINT NOT NULL,
  last_reported BIGINT NOT NULL,
  message TEXT,
  "offset" TEXT,
  offset_protocol BIGINT NOT NULL,
  phase TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX instances_by_run ON instances (run_id);
CREATE INDEX instances_by_engine ON instances (engine_id, phase);
CREATE INDEX instances_by_name ON instances (name);
CREATE TABLE offsets (
  job_id TEXT NOT NULL,
  slot BIGINT NOT NULL,
  "offset" TEXT NOT NULL,
  protocol BIGINT NOT NULL,
  changed_on BIGINT NOT NULL,
  PRIMARY KEY (job_id, slot)
);
CREATE TABLE engine_events (
  number INTEGER NOT NULL,
  id TEXT NOT NULL,
  engine_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  type BIGINT NOT NULL,
  instance BIGINT NOT NULL,
  payload TEXT,
  state TEXT NOT NULL,
  message TEXT,
  created_on BIGINT NOT NULL,
  delivered_on BIGINT NOT NULL,
  deliveries BIGINT NOT NULL,
  PRIMARY KEY (number),
  UNIQUE (id)
);
CREATE INDEX engine_events_by_engine ON engine_events (engine_id, state);
CREATE INDEX engine_events_by_instance ON engine_events (instance);
CREATE TABLE metrics (
  job_id TEXT NOT NULL,
  run_count BIGINT NOT NULL,
  engine_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  input_count BIGINT NOT NULL,
  output_count BIGINT NOT NULL,
  error_count BIGINT NOT NULL,
  stage_errors_count BIGINT NOT NULL,
  input_rate FLOAT NOT NULL,
  output_rate FLOAT NOT NULL,
  error_rate FLOAT NOT NULL,
  changed_on BIGINT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (job_id, run_count, engine_id)
);
CREATE TABLE engine_metrics (
  id INTEGER NOT NULL,
  engine_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  time BIGINT NOT NULL,
  cpu_load FLOAT NOT NULL,
  used_memory FLOAT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX engine_metrics_by_engine ON engine_metrics (engine_id, time);
CREATE TABLE meta (
  "key" TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY ("key")
);
CREATE TABLE organizations (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  primary_admin_id TEXT NOT NULL,
  active BOOLEAN NOT NULL,
  password_expiry_ms BIGINT NOT NULL,
  valid_domains TEXT NOT NULL,
  external_auth_enabled BOOLEAN NOT NULL,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE configs (
  organization TEXT NOT NULL,
  id TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE TABLE users (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  name_in_org TEXT,
  roles TEXT NOT NULL,
  active BOOLEAN NOT NULL,
  password_hash TEXT,
  password_generated BOOLEAN NOT NULL,
  password_expiry_time BIGINT NOT NULL,
  deleted BOOLEAN NOT NULL,
  delete_time BIGINT NOT NULL,
  destroyer TEXT,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX users_by_organization ON users (organization, id);
CREATE TABLE groups (
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  name TEXT NOT NULL,
  roles TEXT NOT NULL,
  external_group_ids TEXT,
  deleted BOOLEAN NOT NULL,
  delete_time BIGINT NOT NULL,
  destroyer TEXT,
  creator TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  last_modified_by TEXT NOT NULL,
  last_modified_on BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX groups_by_organization ON groups (organization, id);
CREATE TABLE group_members (
  group_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_by_user ON group_members (user_id);
CREATE TABLE sessions (
  token_hash TEXT NOT NULL,
  user_id TEXT NOT NULL,
  organization TEXT NOT NULL,
  user_name TEXT NOT NULL,
  email TEXT NOT NULL,
  organization_name TEXT NOT NULL,
  roles TEXT NOT NULL,
  groups TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  expires_on BIGINT NOT NULL,
  login_audit BIGINT NOT NULL,
  PRIMARY KEY (token_hash)
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE TABLE components (
  token_hash TEXT NOT NULL,
  id TEXT NOT NULL,
  organization TEXT NOT NULL,
  type TEXT NOT NULL,
  user_id TEXT,
  name TEXT,
  active BOOLEAN NOT NULL,
  registered BOOLEAN NOT NULL,
  attributes TEXT NOT NULL,
  attributes_updated_on BIGINT NOT NULL,
  generated_on BIGINT NOT NULL,
  registered_on BIGINT NOT NULL,
  registered_by TEXT NOT NULL,
  last_validated_on BIGINT NOT NULL,
  PRIMARY KEY (token_hash),
  UNIQUE (id)
);
CREATE INDEX components_by_organization ON components (organization, type);
CREATE TABLE login_audits (
  id INTEGER NOT NULL,
  organization TEXT NOT NULL,
  user_id TEXT NOT NULL,
  ip_address TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  login_time BIGINT NOT NULL,
  logout_time BIGINT NOT NULL,
  logout_user TEXT,
  logout_reason TEXT,
  success BOOLEAN NOT NULL,
  details TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX login_audits_by_organization ON login_audits (organization, login_time);
CREATE TABLE action_audits (
  id INTEGER NOT NULL,
  organization TEXT NOT NULL,
  action TEXT NOT NULL,
  affects_user TEXT NOT NULL,
  requester_id TEXT NOT NULL,
  field_type TEXT NOT NULL,
  old_value TEXT,
  new_value TEXT,
  time BIGINT NOT NULL,
  ip_address TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX action_audits_by_organization ON action_audits (organization, time);
