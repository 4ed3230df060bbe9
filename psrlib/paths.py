"""Where the kit's own data is, and where a user's runs and models go."""

import os
from pathlib import Path

from psrlib.errors import InputError

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return a folder that the kit ships: inside the package when installed, beside it in a checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name


DATA = shipped("data")
NOTEBOOKS = shipped("notebooks")
MODELS = DATA / "models"
SAMPLE_MODEL = MODELS / "sample.json"
MODEL = MODELS / "model.json"
STATS = DATA / "stats"


def home() -> Path:
    """Return the folder of the user's ``runs/`` and ``models/``: ``PSR_HOME``, else the working directory.

    Never a folder of the installation, which may be read-only and goes with the next upgrade.
    """
    return Path(os.environ.get("PSR_HOME") or ".").resolve()


def runs() -> Path:
    """Return the folder of all runs that were given no folder of their own."""
    return home() / "runs"


def user_models() -> Path:
    """Return the folder that noise models fitted by the user are written to by default."""
    return home() / "models"


def default_model(use_sample: bool = False, data_model_root: Path | None = None) -> Path:
    """Return the noise model to use: the fitted one where it exists, else the hand-written sample.

    Parameters
    ----------
    use_sample : bool
        Always take the sample.
    data_model_root : Path or None
        Folder that holds ``model.json`` or ``sample.json``, itself or in ``models/``; None means the kit's.

    Raises
    ------
    InputError
        If the folder holds no such file.
    """
    if data_model_root is None:
        return SAMPLE_MODEL if use_sample else MODEL
    names = [SAMPLE_MODEL.name] if use_sample else [MODEL.name, SAMPLE_MODEL.name]
    places = [folder / name for folder in (data_model_root / "models", data_model_root) for name in names]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place.relative_to(data_model_root)) for place in places)
    raise InputError(
        f"{data_model_root}: no noise model there; looked for {looked}. Give the folder of a model file, "
        "or the file itself with --model"
    )


def run_dir(run_dir: str | Path, random_seed: int, num_orgs: int) -> Path:
    """Return the folder of a run: the one given, or ``runs/<random_seed>-<num_orgs>`` of `home` when empty.

    Examples
    --------
    >>> run_dir("", 7, 25).name
    '7-25'
    """
    return Path(run_dir).resolve() if run_dir else runs() / f"{random_seed}-{num_orgs}"
