"""The vendor's SDK of the 4.x line against the embedded hub of release 4: group by group, call by call.

Each group is a list of steps in the SDK's own words. A step that fails is named below with its reason, and an
entry that is needed no longer fails as well. What needs the REST API of an engine is left out: mock engines
have none.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from streamsets.sdk import ControlHub
from support.mock_engines import start_engines
from support.waiting import wait_for

from psrlib.client import ControlHub as Own
from psrlib.client import Request
from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.process.sign_up import sign_up

Steps = dict[str, Callable[[], Any]]

# group and step: why it does not work
EXCEPTIONS = {
    ("session", "organization_global_configuration"): "for the system administrator only",
    ("job templates", "run history"): "runs of templates are not kept together",
    ("engines", "restart_engines"): "the ids of these events to engines are not known",
    ("engines", "shutdown_engines"): "the ids of these events to engines are not known",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A hub of release 4 with organization acme and two mock engines, and two connections of the SDK."""
    run_dir = tmp_path_factory.mktemp("sdk7")
    with ExitStack() as stack:
        hub = stack.enter_context(start_hub(run_dir, release=4))
        held = json.loads(sign_up(run_dir, {"org-0001": "acme"}).read_text())
        sch = connect(hub.url, held["organizations"]["org-0001"])
        admin = connect(hub.url, system_credential(hub.url), landing=True)
        tokens = [each["fullAuthToken"] for each in components(sch, 2)]
        stack.enter_context(start_engines(run_dir, hub.url, sch.organization, tokens))
        wait_for(lambda: len(sch.data_collectors) == 2)
        yield SimpleNamespace(sch=sch, admin=admin, url=hub.url)


def system_credential(url: str) -> dict[str, str]:
    """A new API credential of the system administrator, made as in the browser."""
    path = "/security/rest/v1/organization/admin/api-user-credentials"
    body = {"label": "sweep", "generateAuthToken": True, "active": True, "userId": None}
    with Own(url, "admin@admin", "admin@admin") as hub:
        made = hub.answer(Request("POST", path, "credentials", body=body)).body
    return {"id": made["componentId"], "token": made["authToken"]}


def connect(url: str, credential: dict[str, str], landing: bool = False) -> Any:
    where = {"landing_url": f"{url}/security/public-rest/v1/aster/landing"} if landing else {}
    return ControlHub(
        credential_id=credential["id"],
        token=credential["token"],
        aster_url=url,
        use_websocket_tunneling=False,
        **where,
    )


def components(sch: Any, n: int) -> list[dict[str, Any]]:
    command = sch.create_components("dc", number_of_components=n, active=True)
    return list(command.response.json())


def check(group: str, steps: Steps) -> None:
    """Do the steps; those fail, and only those, that are listed above."""
    failed: dict[str, str] = {}
    for name, step in steps.items():
        try:
            assert step() is not False, "the answer is another one"
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"[:300]
    expected = {step for where, step in EXCEPTIONS if where == group}
    unexpected = {name: text for name, text in failed.items() if name not in expected}
    assert (unexpected, sorted(expected - set(failed))) == ({}, [])


def archive(*names: str) -> bytes:
    """Return a zip with pipelines."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name in names:
            target.writestr(f"{name}.json", export(name))
    return made.getvalue()


def export(name: str, fragment: bool = False) -> str:
    config = {
        "schemaVersion": 6,
        "version": 19,
        "title": name,
        "pipelineId": name,
        "uuid": "1",
        "configuration": [
            {"name": "executionMode", "value": "STANDALONE"},
            {"name": "constants", "value": [{"key": "TABLE", "value": "t"}]},
        ],
        "stages": [],
        "info": {"sdcVersion": "5.10.0"},
        "metadata": {"labels": ["prod"]},
    }
    rules = {"schemaVersion": 3, "version": 2, "uuid": "1"}
    key = "pipelineFragmentConfig" if fragment else "pipelineConfig"
    return json.dumps({key: config, "pipelineRules": rules, "libraryDefinitions": None})


@pytest.fixture(scope="module")
def pipeline(world: SimpleNamespace) -> Any:
    """A published pipeline."""
    world.sch.import_pipelines_from_archive(archive("Sweep"), commit_message="imported")
    return world.sch.pipelines.get(name="Sweep")


def new_job(sch: Any, pipeline: Any, name: str, **more: Any) -> Any:
    """Add a job for engines with label all; return it as the hub has it."""
    job = sch.get_job_builder().build(name, pipeline=pipeline, **more)
    job.data_collector_labels = ["all"]
    sch.add_job(job)
    return sch.jobs.get(job_name=name, **({"job_template": True} if more.get("job_template") else {}))


def test_session(world: SimpleNamespace) -> None:
    """Who one is and what the hub is."""
    sch = world.sch
    steps: Steps = {
        "version": lambda: sch.version.startswith("4."),
        "organization": lambda: len(sch.organization) == 36,
        "ldap_enabled": lambda: sch.ldap_enabled is False,
        "data_protector_enabled": lambda: not sch.data_protector_enabled,
        "organization_global_configuration": lambda: sch.organization_global_configuration,
        "organization_global_configuration of the system": lambda: (
            world.admin.organization_global_configuration is not None
        ),
    }
    check("session", steps)


def test_organizations(world: SimpleNamespace) -> None:
    """The system administrator's view, and an organization's configuration."""
    sch, admin = world.sch, world.admin
    own = sch.organizations[0]
    builder = admin.get_organization_builder()
    new = builder.build("beta", "Beta", "admin@beta", "Admin", "admin@beta.example", "admin@beta")

    def set_rules() -> bool:
        path = f"/security/rest/v1/organizationConfig/{sch.organization}"
        given = sch.api_client.get_organization_configuration_v2(sch.organization).response.json()
        given["ipAuthRules"] = {"enabled": True, "rules": [{"address": "10.0.0.0", "bitMask": 8}]}
        sch.api_client.update_organization_configuration_v2(given, sch.organization)
        kept = sch.api_client.get_organization_configuration_v2(sch.organization).response.json()
        return bool(kept["ipAuthRules"]["enabled"]) and path.endswith(sch.organization)

    steps: Steps = {
        "own": lambda: (own.name, len(sch.organizations)) == ("acme", 1),
        "list": lambda: {each.name for each in admin.organizations} >= {"acme", "System organization"},
        "add": lambda: admin.add_organization(new),
        "added": lambda: "Beta" in {each.name for each in admin.organizations},
        "configuration": lambda: own.configuration is not None,
        "rules for addresses": set_rules,
    }
    check("organizations", steps)


def test_api_credentials(world: SimpleNamespace) -> None:
    """All that is done with them."""
    sch = world.sch
    builder = sch.get_api_credential_builder()

    def mine() -> Any:
        return sch.api_credentials.get(name="renamed")

    def rename() -> None:
        found = sch.api_credentials.get(name="sweep")
        found.name = "renamed"
        sch.rename_api_credential(found)

    steps: Steps = {
        "add": lambda: sch.add_api_credential(builder.build(name="sweep")),
        "list": lambda: "sweep" in {each.name for each in sch.api_credentials},
        "rename": rename,
        "deactivate": lambda: sch.deactivate_api_credential(mine()),
        "is deactivated": lambda: mine().active is False,
        "activate": lambda: sch.activate_api_credential(mine()),
        "regenerate": lambda: sch.regenerate_api_credential_auth_token(mine()),
        "delete": lambda: sch.delete_api_credentials(mine()),
        "deleted": lambda: "renamed" not in {each.name for each in sch.api_credentials},
    }
    check("API credentials", steps)


def test_users(world: SimpleNamespace) -> None:
    """Invited, changed, made administrators, deactivated and deleted."""
    sch = world.sch

    def jane() -> Any:
        return sch.users.get(email_address="jane@example.com")

    def update() -> bool:
        found = jane()
        found.organization_roles = ["Job Operator"]
        sch.update_user(found)
        return set(jane().organization_roles) == {"Job Operator"}

    def is_admin() -> bool:
        return "Organization Administrator" in list(jane().organization_roles)

    steps: Steps = {
        "invite": lambda: sch.invite_user(sch.get_user_builder().build(email_address="jane@example.com")),
        "get": lambda: jane().email_address == "jane@example.com",
        "list": lambda: len(sch.users) == 2 and len(list(sch.users)) == 2,
        "update": update,
        "assign_administrator_role": lambda: sch.assign_administrator_role(jane()),
        "is administrator": is_admin,
        "remove_administrator_role": lambda: sch.remove_administrator_role(jane()),
        "is none": lambda: not is_admin(),
        "login_audits": lambda: list(sch.login_audits) is not None,
        "action_audits": lambda: len(list(sch.action_audits)) > 0,
        "deactivate_user": lambda: sch.deactivate_user(jane()),
        "is deactivated": lambda: jane().active is False,
        "activate_user": lambda: sch.activate_user(jane()),
        "delete_user": lambda: sch.delete_user(jane(), deactivate=True),
        "is deleted": lambda: "jane@example.com" not in {user.email_address for user in sch.users},
    }
    check("users", steps)


def test_groups(world: SimpleNamespace) -> None:
    """Added with a member, changed, deleted."""
    sch = world.sch

    def group() -> Any:
        return sch.groups.get(display_name="Sweepers")

    def update() -> bool:
        found = group()
        found.organization_roles = ["Job Operator"]
        sch.update_group(found)
        return set(group().organization_roles) == {"Job Operator"}

    steps: Steps = {
        "add": lambda: sch.add_group(sch.get_group_builder().build(display_name="Sweepers")),
        "list": lambda: {"all", "Sweepers"} <= {each.display_name for each in sch.groups},
        "update": update,
        "delete": lambda: sch.delete_group(group()),
        "deleted": lambda: "Sweepers" not in {each.display_name for each in sch.groups},
    }
    check("groups", steps)


def test_engines(world: SimpleNamespace) -> None:
    """Read, labelled, with other thresholds, activated and deactivated."""
    sch = world.sch

    def engine() -> Any:
        return sch.engines.get_all(engine_type="COLLECTOR")[0]

    def label() -> bool:
        found = engine()
        found.labels = ["extra"]
        sch.update_engine_labels(found)
        return "extra" in engine().labels

    def share() -> bool:
        acl = engine().acl
        group = f"all@{sch.organization}"
        acl.add_permission(acl.permission_builder.build(group, "GROUP", ["READ"]))
        return group in {each.subject_id for each in engine().acl.permissions}

    unused: list[str] = []

    def deactivate_unused() -> None:
        unused.extend(each["id"] for each in components(sch, 1))
        sch.deactivate_components(*unused) if hasattr(sch, "deactivate_components") else None

    steps: Steps = {
        "list": lambda: len(sch.data_collectors) == 2,
        "attributes": lambda: engine().responding and engine().engine_url.startswith("http"),
        "labels": label,
        "get_engine_labels": lambda: sch.get_engine_labels(engine()) is not None,
        "thresholds": lambda: sch.update_engine_resource_thresholds(engine(), max_cpu_load=90),
        "balance": lambda: sch.balance_engines(engine()),
        "acl": share,
        "components": lambda: len(list(sch.get_components("dc").response.json())) >= 2,
        "create_components": deactivate_unused,
        "delete_unregistered_auth_tokens": lambda: sch.delete_unregistered_auth_tokens("COLLECTOR"),
        "restart_engines": lambda: sch.restart_engines(engine()),
        "shutdown_engines": lambda: sch.shutdown_engines(engine()),
        "deactivate": lambda: sch.deactivate_engine(engine()),
        "activate": lambda: sch.activate_engine(engine()),
    }
    check("engines", steps)


def test_deployments(world: SimpleNamespace) -> None:
    """Environments, engine versions and deployments, from the builder to their end."""
    sch = world.sch

    def environment(name: str = "Swept") -> Any:
        return sch.environments.get(environment_name=name)

    def deployment() -> Any:
        return sch.deployments.get(deployment_name="Fleet")

    def add_environment() -> None:
        built = sch.get_environment_builder("SELF").build("Swept", environment_tags=["a/b"])
        sch.add_environment(built)

    def add_deployment() -> None:
        built = sch.get_deployment_builder("SELF").build(
            deployment_name="Fleet",
            engine_type="DC",
            engine_version="5.10.0",
            environment=environment(),
            engine_labels=["fleet"],
            deployment_tags=["t"],
        )
        built.install_type = "DOCKER"
        sch.add_deployment(built)

    def update() -> bool:
        found = deployment()
        found.engine_configuration.engine_labels = ["other"]
        sch.update_deployment(found)
        return deployment().engine_configuration.engine_labels == ["other"]

    def token() -> bool:
        made = sch.api_client.get_deployment_engine_token(deployment().id).response.json()
        return bool(made["fullAuthToken"])

    def install() -> bool:
        script: str = sch.get_self_managed_deployment_install_script(deployment())
        return "STREAMSETS_DEPLOYMENT_TOKEN" in script

    steps: Steps = {
        "engine_versions": lambda: len(sch.engine_versions.get_all(engine_type="DC")) == 2,
        "default environment": lambda: sch.environments.get(state="ACTIVE").environment_type == "SELF",
        "add_environment": add_environment,
        "environment tags": lambda: list(environment().tags) == ["a/b"],
        "activate_environment": lambda: sch.activate_environment(environment()),
        "environment acl": lambda: environment().acl.resource_type == "CSP_ENVIRONMENT",
        "add_deployment": add_deployment,
        "deployment tags": lambda: list(deployment().tags) == ["t"],
        "update_deployment": update,
        "start_deployment": lambda: sch.start_deployment(deployment()),
        "state": lambda: deployment().state == "ACTIVE",
        "engine token": token,
        "install script": install,
        "registered_engines": lambda: len(list(deployment().registered_engines)) == 0,
        "deployment_events": lambda: len(list(deployment().deployment_events)) == 0,
        "deployment acl": lambda: deployment().acl.resource_type == "CSP_DEPLOYMENT",
        "lock_deployment": lambda: sch.lock_deployment(deployment()),
        "unlock_deployment": lambda: sch.unlock_deployment(deployment()),
        "clone_deployment": lambda: sch.clone_deployment(deployment(), name="Copy"),
        "stop_deployment": lambda: sch.stop_deployment(deployment()),
        "delete_deployment": lambda: sch.delete_deployment(*sch.deployments),
        "deactivate_environment": lambda: sch.deactivate_environment(environment()),
        "delete_environment": lambda: sch.delete_environment(environment()),
        "deleted": lambda: len(sch.environments) == 1,
    }
    check("deployments", steps)


def test_pipelines(world: SimpleNamespace) -> None:
    """What needs no engine: imported, read, copied, drafted, deleted; fragments."""
    sch = world.sch
    api = sch.api_client

    def pipeline(name: str = "Orders") -> Any:
        return sch.pipelines.get(name=name)

    def draft() -> bool:
        found = pipeline("Claims")
        made = api.create_pipeline_draft(
            commit_id=found.commit_id, authoring_sdc_id="SYSTEM_DESIGNER", authoring_sdc_version="5.10.0"
        ).response.json()
        return made["draft"] is True

    def share() -> bool:
        acl = pipeline().acl
        group = f"all@{sch.organization}"
        acl.add_permission(acl.permission_builder.build(group, "GROUP", ["READ"]))
        return group in {each.subject_id for each in pipeline().acl.permissions}

    def labelled() -> bool:
        return "prod" in {each.label for each in sch.pipeline_labels}

    steps: Steps = {
        "import zip": lambda: sch.import_pipelines_from_archive(archive("Orders", "Claims"), "imported"),
        "import JSON": lambda: sch.import_pipeline(json.loads(export("Refunds")), "imported", name="Refunds"),
        "list": lambda: {"Orders", "Claims", "Refunds"} <= {each.name for each in sch.pipelines},
        "get": lambda: (pipeline().version, pipeline().draft) == ("1", False),
        "get by id": lambda: sch.pipelines.get(pipeline_id=pipeline().pipeline_id).name == "Orders",
        "get by commit": lambda: sch.pipelines.get(commit_id=pipeline().commit_id).name == "Orders",
        "definition": lambda: json.loads(pipeline().pipeline_definition)["title"] == "Orders",
        "labels": labelled,
        "commits": lambda: len(pipeline().commits) == 1,
        "tags": lambda: len(pipeline().tags) == 0,
        "acl": share,
        "duplicate": lambda: sch.duplicate_pipeline(pipeline(), name="Copy"),
        "export": lambda: len(sch.export_pipelines([pipeline()])) > 100,
        "draft": draft,
        "search": lambda: sch.pipelines.get_all(search='name=="Orders"')[0].name == "Orders",
        "delete": lambda: sch.delete_pipeline(pipeline("Copy")),
        "deleted": lambda: "Copy" not in {each.name for each in sch.pipelines},
    }
    check("pipelines", steps)


def test_jobs(world: SimpleNamespace, pipeline: Any) -> None:
    """From the builder to the deletion, a run in between."""
    sch = world.sch

    def job(name: str = "Sweep job") -> Any:
        return sch.jobs.get(job_name=name)

    def update() -> bool:
        found = job()
        found.number_of_instances = 2
        sch.update_job(found)
        return bool(job().number_of_instances == 2)

    def sequence() -> bool:
        builder = sch.get_job_sequence_builder()
        builder.add_start_condition()
        sch.publish_job_sequence(builder.build(name="Nightly"))
        made = next(iter(sch.job_sequences))
        made.add_step_with_jobs([job()])
        return job().job_sequence.name == "Nightly" and len(made.steps) == 1

    def end_sequence() -> None:
        sch.delete_job_sequences(*sch.job_sequences)

    def share() -> bool:
        acl = job().acl
        group = f"all@{sch.organization}"
        acl.add_permission(acl.permission_builder.build(group, "GROUP", ["READ"]))
        return group in {each.subject_id for each in job().acl.permissions}

    steps: Steps = {
        "add": lambda: new_job(sch, pipeline, "Sweep job", tags=["swept"]).job_name == "Sweep job",
        "list": lambda: "Sweep job" in {each.job_name for each in sch.jobs},
        "tags": lambda: [tag.tag for tag in job().tags] == ["swept"],
        "update": update,
        "start": lambda: sch.start_job(job()),
        "status": lambda: job().status.status == "ACTIVE",
        "run history": lambda: len(job().history) == 1,
        "job_history": lambda: len(list(job().job_history)) == 1,
        "metrics": lambda: job().metrics is not None,
        "time_series_metrics": lambda: job().time_series_metrics("Record Count Time Series") is not None,
        "sync": lambda: sch.sync_job(job()),
        "balance": lambda: sch.balance_job(job()),
        "stop": lambda: sch.stop_job(job()),
        "count": lambda: sch.jobs.count(status="INACTIVE") >= 1,
        "reset_origin": lambda: sch.reset_origin(job()),
        "upgrade": lambda: sch.upgrade_job(job()),
        "acl": share,
        "duplicate": lambda: sch.duplicate_job(job(), name="Copy"),
        "search": lambda: sch.jobs.get_all(search='name=="Sweep job"')[0].job_name == "Sweep job",
        "job_sequence none": lambda: job().job_sequence is None,
        "job_sequence": sequence,
        "delete_job_sequences": end_sequence,
        "export": lambda: len(sch.export_jobs([job()])) > 100,
        "import": lambda: len(sch.import_jobs(sch.export_jobs([job()]))) == 1,
        "delete": lambda: sch.delete_job(job("Copy")),
        "deleted": lambda: "Copy" not in {each.job_name for each in sch.jobs},
    }
    check("jobs", steps)


def test_job_templates(world: SimpleNamespace, pipeline: Any) -> None:
    """Instances of a template, listed by it."""
    sch = world.sch

    def template() -> Any:
        return sch.jobs.get(job_name="Template", job_template=True)

    def add() -> None:
        new_job(sch, pipeline, "Template", job_template=True, runtime_parameters={"TABLE": "t"})

    def start(**more: Any) -> Any:
        parameters = [{"TABLE": "a"}, {"TABLE": "b"}]
        made = sch.start_job_template(template(), runtime_parameters=parameters, **more)
        sch.stop_job(*made)
        return made

    archived: list[Any] = []

    def archive_it() -> bool:
        archived.append(template())
        sch.api_client.archive_templates([archived[0].id])
        archived[0].refresh()
        return bool(archived[0].archived) and "Template" not in {each.job_name for each in sch.jobs}

    def instances() -> int:
        return len([each for each in sch.jobs if each.template_job_id == template().id])

    steps: Steps = {
        "add": add,
        "get": lambda: template().job_template is True,
        "start": lambda: len(start(instance_name_suffix="PARAM_VALUE", parameter_name="TABLE")) == 2,
        "start with a name": lambda: len(start(name="Named", instance_name_suffix="COUNTER")) == 2,
        "start with tags": lambda: start(raw_job_tags=["x"])[0].tags is not None,
        "start detached": lambda: len(start(attach_to_template=False)) == 2,
        "asynchronous start": lambda: len(start(instance_name_suffix="TIME_STAMP", asynchronous=True)) == 2,
        "instances": lambda: instances() == 8,
        "search": lambda: (
            sch.jobs.get_all(search='name=="Template"', job_template=True)[0].job_name == "Template"
        ),
        "run history": lambda: sch.api_client.get_template_history(template().id),
        "archive": archive_it,
        "delete": lambda: sch.delete_job(archived[0]),
        "instances are deleted": lambda: "Named - 3" not in {each.job_name for each in sch.jobs},
    }
    check("job templates", steps)


def test_draft_runs(world: SimpleNamespace) -> None:
    """A pipeline that is not published yet runs."""
    sch = world.sch
    sch.import_pipelines_from_archive(archive("Drafted"), "imported")
    published = sch.pipelines.get(name="Drafted")
    sch.api_client.create_pipeline_draft(
        commit_id=published.commit_id, authoring_sdc_id="SYSTEM_DESIGNER", authoring_sdc_version="5.10.0"
    )

    def drafted() -> Any:
        return sch.pipelines.get(name="Drafted", draft=True)

    def run() -> Any:
        return next(iter(sch.draft_runs))

    steps: Steps = {
        "start": lambda: sch.start_draft_run(drafted()),
        "list": lambda: run().job_name == "Draft Run for Drafted",
        "is no job": lambda: "Draft Run for Drafted" not in {each.job_name for each in sch.jobs},
        "stop": lambda: sch.stop_draft_run(run()),
        "start again": lambda: sch.start_draft_run(drafted()),
        "stop again": lambda: sch.stop_draft_run(run()),
        "delete": lambda: sch.delete_draft_run(run()),
        "deleted": lambda: len(list(sch.draft_runs)) == 0,
    }
    check("draft runs", steps)


def test_scheduler(world: SimpleNamespace, pipeline: Any) -> None:
    """A task from the builder to the deletion."""
    sch = world.sch
    job = new_job(sch, pipeline, "Scheduled job")

    def task() -> Any:
        return sch.scheduled_tasks.get(name="Nightly")

    def add() -> None:
        built = sch.get_scheduled_task_builder().build(
            task_object=job, action="START", name="Nightly", cron_expression="0 0 3 ? * *", time_zone="UTC"
        )
        sch.add_scheduled_task(built)

    def update() -> None:
        found = task()
        found.description = "every night"
        sch.update_scheduled_task(found)

    def share() -> bool:
        acl = task().acl
        group = f"all@{sch.organization}"
        acl.add_permission(acl.permission_builder.build(group, "GROUP", ["READ"]))
        return group in {each.subject_id for each in task().acl.permissions}

    steps: Steps = {
        "add": add,
        "get": lambda: task().status == "RUNNING",
        "repr": lambda: "Nightly" in repr(task()),
        "pause": lambda: sch.pause_scheduled_tasks(task()),
        "is paused": lambda: task().status == "PAUSED",
        "resume": lambda: sch.resume_scheduled_tasks(task()),
        "update": update,
        "runs": lambda: list(task().runs) is not None,
        "audits": lambda: list(task().audits) is not None,
        "acl": share,
        "kill": lambda: sch.kill_scheduled_tasks(task()),
        "delete": lambda: sch.delete_scheduled_tasks(task()),
    }
    check("scheduler", steps)
