"""One tree of errors: every message says what failed, what was expected and what to do next."""


class PsrError(Exception):
    """Base of all errors a user can meet; ``exit_status`` is what the ``psr`` command ends with."""

    exit_status = 1


class InputError(PsrError):
    """A file, flag or parameter given by the user is wrong; nothing was written."""

    exit_status = 2


class FitError(PsrError):
    """A noise model could not be fitted to the data given."""


class HubError(PsrError):
    """The Control Hub answered with an error, or not at all.

    Parameters
    ----------
    message : str
        One sentence naming method, path and the hub's words.
    status : int or None
        HTTP status of the answer; None when there was no answer.
    codes : tuple of str
        Issue codes of the hub's error envelope, such as ``JOBRUNNER_24``.
    """

    def __init__(self, message: str, status: int | None = None, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes


class HubUnreachableError(HubError):
    """No answer from the Control Hub: wrong address, not started, or too many failed attempts."""


class AuthenticationError(HubError):
    """The Control Hub refused the user name and password, or the session."""


class ProcessError(PsrError):
    """A process of the kit (embedded hub, engine fleet) did not start or died."""


class InconsistentStateError(PsrError):
    """The Control Hub does not hold what the seed document says."""
