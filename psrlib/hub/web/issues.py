"""Refusals of the hub: every one becomes the error envelope ``{"ISSUES": [{"code", "message"}]}``."""

from psrlib.hub.store.text import Json

# what an app of a real hub says of an id that it has not: code and message
UNKNOWN = {("pipelinestore", "Pipeline commit"): ("PIPELINE_STORE_09", "Cannot find Pipeline Commit ID")}
NAMED = {"jobrunner": "JOBRUNNER", "connection": "CONNECTION"}  # become JobRunnerError and ConnectionError
LOGIN_SERVICE = "login service"


class IssueError(Exception):
    """A request the hub refuses; the transaction of the request is rolled back.

    Parameters
    ----------
    status : int
        HTTP status of the answer.
    code : str
        Issue code such as ``SECURITY_03`` (control-hub-rest.md, 1.4); the numbers are the hub's own choice
        except those the reference knows.
    message : str
        One sentence: which entity or field, expected, received.
    unknown : (str, str) or None
        Kind and id of the object that is missing, where that is the reason.
    retry_after_s : int
        Seconds after which the same request may succeed; 0 says nothing about it.
    **extra : object
        Further keys of the issue, such as ``additionalInfo``.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        unknown: tuple[str, str] | None = None,
        retry_after_s: int = 0,
        **extra: object,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.unknown = unknown
        self.retry_after_s = retry_after_s
        self.extra = extra
        self._is_login_service = False

    def name_app(self, app: str) -> None:
        """Give a general code the app's name, where the vendor's SDK tells errors by it (1.4), or its own.

        The login service of 4.x refuses what it does not take with 422 (control-hub-4x.md, section 2).
        """
        if app == LOGIN_SERVICE:
            self._is_login_service = True
            self.status = 422 if self.status in (400, 404, 409) else self.status
        if self.unknown and (app, self.unknown[0]) in UNKNOWN:
            self.code, words = UNKNOWN[app, self.unknown[0]]
            self.message = f"{words} '{self.unknown[1]}'"
        if app in NAMED and self.code.startswith("APP_ISSUES_"):
            self.code = f"{NAMED[app]}_1{self.code[-2:]}"

    def envelope(self) -> Json:
        """Return the body of the answer."""
        if self._is_login_service:
            return {"status": self.status, "errors": [{"code": self.code, "message": self.message}]}
        return {"ISSUES": [{"code": self.code, "message": self.message, **self.extra}]}


def unauthenticated() -> IssueError:
    """Return the answer for a missing, unknown, revoked or expired session."""
    return IssueError(401, "SSO_01", "User not authenticated")


def forbidden(message: str) -> IssueError:
    """Return the answer for a caller who may not do this."""
    return IssueError(403, "SECURITY_02", message)


def not_found(kind: str, entity_id: str) -> IssueError:
    """Return the answer for an unknown id; a foreign organization's id gets the same words."""
    message = f"{kind} '{entity_id}' does not exist"
    return IssueError(404, "APP_ISSUES_02", message, unknown=(kind, entity_id))


def bad_request(message: str) -> IssueError:
    """Return the answer for a body, path or query of the wrong form."""
    return IssueError(400, "APP_ISSUES_03", message)


def check_name(name: str | None, what: str) -> str:
    """Return a name; refuse none, a blank one, one of more than 255 characters and one with a NUL."""
    if name is None or not name.strip() or len(name) > 255 or "\x00" in name:
        raise bad_request(f"the {what} must have 1 to 255 characters, and no NUL among them")
    return name


def check_same(received: str | None, expected: str, field: str = "id") -> None:
    """Refuse a body that names another object than the path."""
    if received != expected:
        raise bad_request(f"the body's {field} is '{received}', the path's '{expected}'")


def duplicate(kind: str, entity_id: str) -> IssueError:
    """Return the answer for an id or name that is taken."""
    return IssueError(409, "APP_ISSUES_04", f"{kind} '{entity_id}' already exists")


def over_limit(what: str, limit: int) -> IssueError:
    """Return the answer for a create beyond the organization's limit."""
    return IssueError(403, "APP_ISSUES_05", f"The organization's limit of {limit} {what} is reached")
