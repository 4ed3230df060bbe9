"""What pipelines and topologies have in common: numbered versions with at most one draft, and a name."""

from psrlib.hub.store.queries import Row
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request


def version_text(number: int, draft: bool) -> str:
    """Return ``n``, or ``n-DRAFT`` for the draft that will be published as n."""
    return f"{number}-DRAFT" if draft else str(number)


def version_fields(commit: Row, parent: Row) -> Json:
    """Return the fields that a commit on the wire has beside its columns; ``parent``: what it is one of."""
    return {
        "commit_id": commit.id,
        "version": version_text(commit.number, commit.draft),
        "parent_version": str(commit.number - 1) if commit.number > 1 else None,
        "last_modified_by": parent.last_modified_by,
        "last_modified_on": parent.last_modified_on,
    }


def next_draft(call: Call, what: str, parent: Row, latest: Row, commit: Row) -> Json:
    """Return the row of a draft that has the content of a commit; 400 while there is a draft."""
    if latest.draft:
        raise bad_request(f"{what} '{parent.id}' already has draft '{latest.id}'")
    return commit._asdict() | {
        "id": call.new_id(parent.organization),
        "number": latest.number + 1,
        "draft": True,
        "message": None,
        "committer": call.principal.id,
        "commit_time": call.now,
    }
