"""Control Hub 4.x: organizations are adopted by their API credentials, people stay as they are."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from support.scripted_hub import Reply, ScriptedHub

from psrlib.cli import psr
from psrlib.client import ControlHub, Credentials, load_credentials
from psrlib.client.credentials import ApiCredential
from psrlib.errors import AuthenticationError, HubUnreachableError, InputError
from psrlib.hub.process.hub_process import find_hub, start_hub, stop_hub
from psrlib.run import ADOPTION, open_hub
from psrlib.seed import SeedDocument, load_seed, resolve_variables, save_seed
from psrlib.state import diff, held, observe, populate, setup_engines, start_jobs, teardown
from psrlib.verify import verify
from psrlib.watch import watch_hub


def credentials_of(run_dir: Path) -> Credentials:
    return load_credentials(run_dir / "credentials.json")


@pytest.fixture(scope="module")
def run_dir(rich: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a hub of release 4 that holds the rich document."""
    folder = tmp_path_factory.mktemp("run")
    save_seed(rich, folder / "seed.json")
    with start_hub(folder, release=4), open_hub(folder, release="4", document=rich) as hub:
        report = populate(rich, hub, progress=False)
        assert not report.difference, report.left_frame()
        yield folder


@pytest.fixture
def hub(run_dir: Path) -> Iterator[ControlHub]:
    with open_hub(run_dir) as hub:
        yield hub


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """The folder of an empty hub of release 4."""
    with start_hub(tmp_path, release=4):
        yield tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(psr, [str(argument) for argument in arguments])


def test_everything_of_the_seed_document_is_there(rich: SeedDocument, hub: ControlHub) -> None:
    """Every kind but people, under ids that the hub made; populating again finds nothing to do."""
    found = observe(held(rich, hub), hub)
    for desired in rich.organizations:
        seen = found.organizations[desired.id]
        assert str(seen.row["id"]) != desired.id
        for kind in ("groups", "connections", "fragments", "pipelines", "jobs"):
            assert {e.name for e in getattr(seen.organization, kind)} == {
                e.name for e in getattr(desired, kind)
            }
    assert not diff(held(rich, hub), found, runtime=False)
    again = populate(rich, hub, progress=False)
    assert (again.created, again.changed) == ({}, {})


def test_nobody_is_invited_and_the_credentials_user_owns_all(rich: SeedDocument, hub: ControlHub) -> None:
    """Users of the seed document would need mail; what they would own belongs to whose credential it is."""
    for organization in rich.organizations:
        session = hub.for_organization(organization.id)
        (user,) = session.security.users(session.organization)
        assert user["id"] == session.user
        owners = {session.jobrunner.acl(str(job["id"]))["resourceOwner"] for job in session.jobrunner.jobs()}
        assert owners == {session.user}


def test_a_run_is_consistent_without_users(rich: SeedDocument, hub: ControlHub, run_dir: Path) -> None:
    """Users are counted only where they were made; everything else is compared as on 3.x."""
    from psrlib.engines import start_fleet
    from psrlib.state import wait_until_active

    setup_engines(rich, hub, run_dir)
    with start_fleet(run_dir, hub.url, None, poll_interval_s=0.5):
        start_jobs(rich, hub)
        wait_until_active(rich, hub)
        report = verify(rich, hub)
    assert report.consistent, report.verdict
    users = report.counts[report.counts.metric == "users"]
    assert users.desired.tolist() == users.observed.tolist() == [1, 1, 1]


def test_engines_of_both_types_keep_their_tokens(rich: SeedDocument, hub: ControlHub, run_dir: Path) -> None:
    """A listing of registrations is of one type on this release, so each type is listed."""
    first = {(i.organization, i.key): i.token for i in setup_engines(rich, hub, run_dir)}
    second = {(i.organization, i.key): i.token for i in setup_engines(rich, hub, run_dir)}
    assert first == second


def test_a_recording_looks_at_every_organization(rich: SeedDocument, hub: ControlHub) -> None:
    """With the credential of each; nothing is refused."""
    names = [o.id for o in rich.organizations]
    samples = list(islice(watch_hub(hub, names, 1000.0, Event()), 3 * len(names)))
    assert [sample.refused + sample.outage for sample in samples] == [""] * len(samples)
    counted = {
        sample.organization: sum(sample.jobs.values()) for sample in samples if sample.jobs is not None
    }
    assert counted == {o.id: sum(not job.is_template for job in o.jobs) for o in rich.organizations}


def test_fewer_credentials_than_organizations(rich: SeedDocument, fresh: Path) -> None:
    """What has a credential is populated, what has none is left out of populating and of verifying."""
    some = replace(rich, organizations=rich.organizations[:2])
    with open_hub(fresh, release="4", document=some) as hub:
        populate(rich, hub, progress=False)
        assert [o.id for o in held(rich, hub).organizations] == [o.id for o in some.organizations]
        assert set(observe(held(rich, hub), hub).organizations) == {o.id for o in some.organizations}


def test_no_credential_fits_the_seed_document(rich: SeedDocument, hub: ControlHub) -> None:
    """The names on both sides are told."""
    other = replace(rich, organizations=[replace(rich.organizations[0], id="org-0999")])
    with pytest.raises(InputError, match=r"org-0001.*org-0999"):
        populate(other, hub, progress=False)


def test_two_credentials_of_one_organization_are_refused(rich: SeedDocument, run_dir: Path) -> None:
    """What two organizations of the document hold would end up in one."""
    known = credentials_of(run_dir)
    twice = {**known.organizations, "org-0002": known.organizations["org-0001"]}
    with (
        ControlHub(known.url, credentials=replace(known, organizations=twice)) as hub,
        pytest.raises(InputError, match="org-0001 and org-0002 are both of organization"),
    ):
        populate(rich, hub, progress=False)


def test_a_run_keeps_to_its_organizations(rich: SeedDocument, run_dir: Path) -> None:
    """A credential of another organization, after a mix-up in the file, is refused at once."""
    known = credentials_of(run_dir)
    one, two = (known.organizations[id] for id in ("org-0001", "org-0002"))
    mixed = replace(known, organizations={"org-0001": two, "org-0002": one})
    for document in (rich, None):  # populating, and every other command
        with pytest.raises(InputError, match="org-0001 of this run is organization"):
            open_hub(run_dir, known.url, credentials=mixed, document=document)
    assert set(json.loads((run_dir / ADOPTION).read_text())["organizations"]) == {
        o.id for o in rich.organizations
    }


@pytest.mark.parametrize(
    "command", ["verify", "start-jobs", "teardown --force", "populate", "populate --plan"]
)
def test_no_command_touches_another_organization(rich: SeedDocument, run_dir: Path, command: str) -> None:
    """Of a mix-up nothing comes but a sentence: above all no teardown of what is another organization's."""
    known = json.loads((run_dir / "credentials.json").read_text())
    known["organizations"] = {"org-0001": known["organizations"]["org-0002"]}
    mixed = run_dir / "mixed.json"
    mixed.write_text(json.dumps(known))
    mixed.chmod(0o600)
    with open_hub(run_dir) as hub:
        before = observe(held(rich, hub), hub)
        result = run(*command.split(), run_dir / "seed.json", "--credentials", mixed)
        assert isinstance(result.exception, InputError)
        assert "org-0001 of this run is organization" in str(result.exception)
        assert observe(held(rich, hub), hub) == before


def test_what_has_no_credential_is_said(rich: SeedDocument, run_dir: Path) -> None:
    """In the plan, by start-jobs and teardown, and in the verdict, which would else speak for all."""
    known = json.loads((run_dir / "credentials.json").read_text())
    known["organizations"].pop(rich.organizations[-1].id)
    fewer = run_dir / "fewer.json"
    fewer.write_text(json.dumps(known))
    fewer.chmod(0o600)
    said = f"1 of {len(rich.organizations)} organizations have no API credential"
    plan = run("populate", "--plan", run_dir / "seed.json", "--credentials", fewer)
    started = run("start-jobs", run_dir / "seed.json", "--credentials", fewer, "--timeout", 0)
    assert said in plan.output
    assert said in started.output
    with ControlHub(known["url"], credentials=load_credentials(fewer)) as hub:
        assert said in verify(rich, hub).verdict


def test_the_system_administrator_sets_what_organizations_may_not(rich: SeedDocument, fresh: Path) -> None:
    """With that credential in the file limits are set and compared; without it they stay as they are."""
    one = replace(rich, organizations=rich.organizations[:1])
    wanted = replace(one.organizations[0].config, max_job_runs=77)
    one = replace(one, organizations=[replace(one.organizations[0], config=wanted)])
    with open_hub(fresh, release="4", document=one):
        known = credentials_of(fresh)
    for credentials, is_set in ((replace(known, system=None), False), (known, True)):
        with ControlHub(known.url, credentials=credentials) as hub:
            assert not populate(one, hub, progress=False).difference
            session = hub.for_organization("org-0001")
            entries = session.security.configs(session.organization)
            assert [e["value"] == "77" for e in entries if "job runs" in e["name"]] == [is_set]


def test_the_system_administrators_credential_is_checked_too(run_dir: Path) -> None:
    """Its organization is the system's; what it lacks of an administrator's roles does not matter."""
    result = run("credentials", "check", run_dir / "credentials.json")
    assert "system: organization admin" in result.output


def test_a_revoked_credential_stops_before_anything_is_made(rich: SeedDocument, fresh: Path) -> None:
    """The organization is named; with a new credential populating goes on."""
    with open_hub(fresh, release="4", document=rich) as hub:
        session = hub.for_organization("org-0002")
        path = f"/security/rest/v1/organization/{session.organization}/api-user-credentials"
        spare = session.security._send_once(path, "test", json.loads, {"label": "spare"}, method="POST")
        known = credentials_of(fresh)
        session.security._delete(f"{path}/{known.organizations['org-0002'].id}", "test")
    with (
        ControlHub(known.url, credentials=known) as hub,
        pytest.raises(AuthenticationError, match="organization org-0002"),
    ):
        populate(rich, hub, progress=False)
    renewed = {**known.organizations, "org-0002": ApiCredential(spare["componentId"], spare["authToken"])}
    with ControlHub(known.url, credentials=replace(known, organizations=renewed)) as hub:
        assert not populate(rich, hub, progress=False).difference


def test_teardown_removes_what_was_made_and_leaves_the_organization(rich: SeedDocument, fresh: Path) -> None:
    """The organization stays active with its people; nothing in it is ours any more."""
    with open_hub(fresh, release="4", document=rich) as hub:
        populate(rich, hub, progress=False)
        report = teardown(rich, hub)
        assert (report.deactivated, report.kept) == ([], {})
        session = hub.for_organization("org-0001")
        assert session.pipelinestore.pipelines() == session.jobrunner.jobs() == []
        assert session.security.users(session.organization)


def test_a_hub_that_throttles_is_filled_all_the_same(rich: SeedDocument, tmp_path: Path) -> None:
    """429 means later: calls are made again, and what is there in the end is the same."""
    one = replace(rich, organizations=rich.organizations[:1])
    with (
        start_hub(tmp_path, release=4, rate_limit=20),
        open_hub(tmp_path, release="4", document=one) as hub,
    ):
        report = populate(one, hub, progress=False)
        assert not report.difference
        assert not diff(held(one, hub), observe(held(one, hub), hub), runtime=False)
        assert hub.limit.closed_s > 0


def test_passwords_and_credentials_are_not_mixed_up(run_dir: Path, tmp_path: Path) -> None:
    """A 4.x hub asked for a login, a 3.x hub with credentials: each says what the other release takes."""
    known = credentials_of(run_dir)
    with pytest.raises(AuthenticationError):
        ControlHub(known.url, "admin@org-0001", "admin@org-0001")
    with start_hub(tmp_path) as three, pytest.raises(AuthenticationError, match=r"3\.x hub"):
        ControlHub(three.url, credentials=replace(known, url=three.url))
    with pytest.raises(InputError, match="is of release 3, not 4"):
        open_hub(tmp_path, release="4")


def test_a_hub_without_a_login_says_what_it_may_be(scripted_hub: ScriptedHub) -> None:
    """Where the login is not there, as on a real 4.x hub, the message names the way in."""
    scripted_hub.script("/security/public-rest/v1/authentication/login", Reply(404))
    with pytest.raises(HubUnreachableError, match="--release 4 with --credentials"):
        ControlHub(scripted_hub.url, "admin@admin", "secret")


@pytest.fixture
def scripted_hub() -> Iterator[ScriptedHub]:
    hub = ScriptedHub()
    yield hub
    hub.close()


def test_the_command_checks_each_credential(run_dir: Path) -> None:
    """One line for each with organization and user; a revoked one is told and makes the status 1."""
    file = run_dir / "credentials.json"
    result = run("credentials", "check", file)
    assert result.exit_code == 0, result.output
    assert "org-0003: organization" in result.output
    known = json.loads(file.read_text())
    known["organizations"]["org-0002"]["token"] += "x"
    other = run_dir / "other.json"
    other.write_text(json.dumps(known))
    other.chmod(0o600)
    result = run("credentials", "check", other, "--output", "json")
    assert result.exit_code == 1
    usable = {one["name"]: one["usable"] for one in json.loads(result.stdout)}
    assert usable == {"org-0001": True, "org-0002": False, "org-0003": True, "system": True}
    other.chmod(0o640)
    result = run("credentials", "check", other)
    assert isinstance(result.exception, InputError)
    assert "chmod 600" in str(result.exception)


@pytest.mark.parametrize("engines", ["components", "deployment"])
def test_the_roles_for_engines_of_deployments_are_named(
    scripted_hub: ScriptedHub, tmp_path: Path, engines: str
) -> None:
    """They are needed where the file asks for deployments; else they are told beside the rest."""
    credential = {"id": "c", "token": "t"}
    known = {"url": scripted_hub.url, "engines": engines, "organizations": {"org-0001": credential}}
    principal = {"principalId": "u@acme", "organizationId": "acme", "roles": ["org-admin"]}
    scripted_hub.script("/security/rest/v1/currentUser", Reply(body=principal))
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(known))
    file.chmod(0o600)
    result = run("credentials", "check", file, "--output", "json")
    (found,) = json.loads(result.stdout)
    manager, environments = "csp:deployment-manager", "csp:environment-manager"
    if engines == "components":
        assert (found["usable"], found["missing"]) == (True, [])
        assert found["missing_for_deployments"] == [manager, environments]
    else:
        assert (found["usable"], found["missing"]) == (False, [manager])
        assert found["missing_for_deployments"] == [environments]
    assert result.exit_code == (not found["usable"])


def test_the_commands_of_a_run_on_the_embedded_hub(rich: SeedDocument, tmp_path: Path) -> None:
    """Plan, populate, resume and teardown as a user types them; no token leaves the two private files."""
    seed = save_seed(rich, tmp_path / "run" / "seed.json") and tmp_path / "run" / "seed.json"
    outputs: list[str] = []
    with ExitStack() as stack:
        stack.callback(stop_hub, seed.parent)

        def psr_run(*arguments: object) -> Result:
            result = run(*arguments)
            outputs.append(result.output)
            return result

        assert "about" in psr_run("populate", seed, "--release", "4", "--plan").output
        assert find_hub(seed.parent) is None
        assert psr_run("populate", seed, "--release", "4").exit_code == 0
        assert "0 entities created, 0 changed" in psr_run("populate", seed).output
        assert "nothing to do" in psr_run("populate", seed, "--plan").output
        assert "they were there before" in psr_run("teardown", seed, "--force").output
    secrets = [c.token for c in credentials_of(seed.parent).organizations.values()]
    assert not any(secret in output for secret in secrets for output in outputs)
    assert _files_with(seed.parent, secrets) == {"credentials.json"}


def _files_with(folder: Path, secrets: list[str]) -> set[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name for path in files if any(s.encode() in path.read_bytes() for s in secrets)}


def test_rewriting_updates_a_hub_in_place(rich: SeedDocument, tmp_path: Path) -> None:
    """Another webhook address reaches every subscription by way of the organizations' credentials."""
    first = rich.organizations[0]
    subscriptions = [
        replace(s, target="${webhook_url}") if s.action == "WEBHOOK" else s for s in first.subscriptions
    ]
    one = replace(
        rich,
        provenance=replace(rich.provenance, num_orgs=1),
        variables={**rich.variables, "webhook_url": "http://127.0.0.1:9/one"},
        organizations=[replace(first, subscriptions=subscriptions)],
    )
    seed, new = tmp_path / "seed.json", tmp_path / "new" / "seed.json"
    save_seed(one, seed)
    new.parent.mkdir()
    target = "http://127.0.0.1:9/other"
    with start_hub(tmp_path, release=4):
        assert run("hub", "credentials", seed, "--run-dir", tmp_path).exit_code == 0
        here = ("--credentials", tmp_path / "credentials.json")
        assert run("populate", seed, *here).exit_code == 0
        done = run("rewrite", seed, "--set", f"webhook_url={target}", "-o", new, "--apply", *here)
        assert done.exit_code == 0, (done.output, done.exception)
        webhooks = [s for s in one.organizations[0].subscriptions if s.action == "WEBHOOK"]
        assert f"0 entities created, {len(webhooks)} changed" in done.output
        with open_hub(tmp_path) as hub:
            listed = hub.for_organization("org-0001").notification.subscriptions()
            assert webhooks
            assert sum(target in json.dumps(row) for row in listed) == len(webhooks)
            after = resolve_variables(load_seed(new), {})
            assert not diff(held(after, hub), observe(held(after, hub), hub), runtime=False)


def test_a_foreign_file_is_not_copied(rich: SeedDocument, fresh: Path, tmp_path: Path) -> None:
    """A credentials file given by its path is read there: the run folder gets no part of it."""
    with open_hub(fresh, release="4", document=rich):
        pass
    file = tmp_path / "elsewhere" / "mine.json"
    file.parent.mkdir()
    file.write_text((fresh / "credentials.json").read_text())
    file.chmod(0o600)
    seed = tmp_path / "other" / "seed.json"
    save_seed(rich, seed)
    result = run("populate", seed, "--credentials", file)
    assert result.exit_code == 0, result.output
    tokens = [c.token for c in credentials_of(fresh).organizations.values()]
    assert _files_with(seed.parent, tokens) == set()
    assert not any(token in result.output for token in tokens)
    argument: Any = run("populate", seed, "--credentials", file, "--sch-url", "http://127.0.0.1:1")
    assert "are not sent to" in str(argument.exception)


def test_users_are_invited_where_that_is_meant(rich: SeedDocument, fresh: Path) -> None:
    """They get name, roles and groups, and own their objects; the run remembers that it invited them."""
    one = replace(rich, organizations=rich.organizations[:1])
    with open_hub(fresh, release="4", document=one, invite_users="sink.example") as hub:
        report = populate(one, hub, progress=False)
        assert not report.difference, report.left_frame()
        assert report.created["users"] == len(one.organizations[0].users) - 1
        assert "changed" not in report.frame() or not populate(one, hub, progress=False).created
    with open_hub(fresh) as hub:
        wanted = held(one, hub)
        assert not diff(wanted, observe(wanted, hub), runtime=False)
        session = hub.for_organization("org-0001")
        mails = {user["id"]: user["email"] for user in session.security.users(session.organization)}
        invited = {mail for id, mail in mails.items() if id != session.user}
        assert invited == {
            f"{user.id.replace('@', '.')}@sink.example" for user in one.organizations[0].users[1:]
        }
        owners = {
            job["name"]: session.jobrunner.acl(job["id"])["resourceOwner"] for job in session.jobrunner.jobs()
        }
        keys = {user.key: user.email for user in wanted.organizations[0].users[1:]}
        for job in one.organizations[0].jobs:
            assert mails[owners[job.name]] == keys.get(job.owner, mails[session.user])
        assert teardown(one, hub).removed["users"] == len(invited)
        assert [user["id"] for user in session.security.users(session.organization)] == [session.user]
