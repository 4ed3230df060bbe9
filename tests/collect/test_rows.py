"""Records of a hub become numbers."""

from psrlib.collect.rows import Listings, to_rows


def keep(_: list[object]) -> None:
    """Leave the order as it is."""


def test_templates_the_group_of_all_and_unknown_words_are_understood() -> None:
    """Templates are no jobs, ``all@`` is no group of its own, -1 instances are one per engine.

    Administrators are users, but have no row among the users.
    """
    found = Listings(
        users=[
            {"id": "a@o", "roles": ["user", "org-admin"], "groups": ["all@o"]},
            {"id": "b@o", "roles": ["user", "jobrunner:operator"], "groups": ["all@o", "ops@o"]},
        ],
        groups=[{"id": "all@o"}, {"id": "ops@o"}],
        jobs=[
            {"id": "j1", "pipelineId": "p", "creator": "a@o", "numInstances": -1, "labels": ["all"]},
            {"id": "j2", "pipelineId": "p", "jobTemplate": True, "creator": "b@o"},
            {"id": "j3", "pipelineId": "q", "currentJobStatus": {"status": "ACTIVE"}, "creator": "a@o"},
            {"id": "j4", "pipelineId": "q", "currentJobStatus": {"status": "ODD"}, "creator": "a@o"},
        ],
        engines=[{"id": "e1"}, {"id": "e2"}],
        tasks=[
            {
                "jobId": {"value": "j1"},
                "crontabMask": {"value": "0 0 3 * * ?"},
                "executionInfo": {"action": "START"},
            }
        ],
        subscriptions=[{"events": [{"eventType": "X"}], "externalActions": [{"eventType": "WEBHOOKV1"}]}],
    )
    rows = to_rows(found, keep)
    assert rows.counts["jobs"] == 3
    assert rows.counts["job_templates"] == 1
    assert rows.counts["active_jobs"] == 1
    assert rows.counts["groups"] == 1
    assert (rows.counts["users"], rows.details["users"]) == (2, [{"roles": 2, "groups": 1}])
    assert [job["instances"] for job in rows.details["jobs"]] == [2, 1, 1, 1]
    assert [job["owner"] for job in rows.details["jobs"]] == [1, 2, 1, 1]
    assert [job["status"] for job in rows.details["jobs"]] == ["INACTIVE", "INACTIVE", "ACTIVE", "OTHER"]
    assert rows.details["scheduled_tasks"] == [{"action": "START", "period_s": 86_400, "job": 1}]
    assert rows.details["subscriptions"] == [{"event": "X", "action": "WEBHOOK", "enabled": 0}]


def test_tasks_that_were_not_read_are_unknown() -> None:
    """Not zero."""
    assert to_rows(Listings(), keep).counts["scheduled_tasks"] is None
