"""A seed document of one small organization: something of every kind, and nothing that acts by itself."""

import secrets

from psrlib.seed import document as seed
from psrlib.seed.vocabulary import ADMINISTRATOR_ROLES
from psrlib.state.observe import SCRATCH

RANDOM_SEED = 1
JANUARY_1 = "0 0 4 1 1 ? *"  # a cron time that is not now
COMMITS = 3  # so that there is a next version, and one after it


def scratch_document() -> seed.SeedDocument:
    """Return the seed document of an organization whose id nobody has, such as ``psr-doctor-1f9c02ab``."""
    id = f"{SCRATCH}{secrets.token_hex(4)}"
    admin, owner = (
        seed.User(key, f"{name}@{id}", name, f"{name}@{id}.example.com", ADMINISTRATOR_ROLES, groups)
        for key, name, groups in (("user-0001", "admin", []), ("user-0002", "owner", ["group-0001"]))
    )
    organization = seed.Organization(
        id=id,
        name="Scratch of psr doctor",
        archetype="scratch",
        config=seed.Config(subscriptions_enabled=True),
        groups=[seed.Group("group-0001", f"scratch@{id}", "Scratch")],
        users=[admin, owner],
        engines=[seed.Engine("engine-0001", "COLLECTOR", "http://127.0.0.1:18630", ["all"])],
        connections=[
            seed.Connection(
                *("connection-0001", "Scratch connection", "STREAMSETS_MYSQL", owner.key),
                configuration={"connectionString": "jdbc:mysql://127.0.0.1:3306/scratch"},
                tags=["scratch"],
            )
        ],
        fragments=[seed.Fragment("fragment-0001", "Scratch fragment", owner.key, 1, ["scratch"])],
        pipelines=[
            seed.Pipeline(
                *("pipeline-0001", "Scratch pipeline", admin.key, 3, 1, False, COMMITS, 0, ["scratch"]),
                parameters={"BATCH_SIZE": "1000"},
                fragment="fragment-0001",
                connection="connection-0001",
            )
        ],
        jobs=[_job("template-0001"), _job("job-0001", owner.key), _job("job-0002", template="template-0001")],
        scheduled_tasks=[
            seed.ScheduledTask("task-0001", "Scratch task", "job-0001", "START", JANUARY_1, admin.key)
        ],
        subscriptions=[
            seed.Subscription(
                *("subscription-0001", "Scratch subscription", "job-0001", "JOB_STATUS_CHANGE"),
                *("EMAIL", f"admin@{id}.example.com", owner.key),
                enabled=False,
            )
        ],
        topologies=[seed.Topology("topology-0001", "Scratch topology", owner.key, ["job-0001"])],
    )
    provenance = seed.Provenance(
        random_seed=RANDOM_SEED, num_orgs=1, model="scratch", model_sha256="", generator=0
    )
    return seed.SeedDocument("psr-seed/1", provenance, {}, [organization])


def _job(key: str, owner: str = "user-0001", template: str | None = None) -> seed.Job:
    is_template = key.startswith("template")
    return seed.Job(
        *(key, f"Scratch {key}", "pipeline-0001", owner),
        status="ACTIVE" if key == "job-0001" else "INACTIVE",
        labels=["scratch"],
        instances=1,
        tags=["scratch"],
        parameters={"BATCH_SIZE": "500"},
        is_template=is_template,
        template=template,
    )
