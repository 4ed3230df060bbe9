"""Where the kit's data and runs are, whatever the working directory."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
MODELS = DATA / "models"
SAMPLE_MODEL = MODELS / "sample.json"
MODEL = MODELS / "model.json"
STATS = DATA / "stats"
RUNS = ROOT / "runs"


def default_model(use_sample: bool = False, data_model_root: Path | None = None) -> Path:
    """Return the noise model to use: the fitted one where it exists, else the hand-written sample.

    Parameters
    ----------
    use_sample : bool
        Always take the sample.
    data_model_root : Path or None
        Folder holding ``models/``; None means the kit's own ``data/``.
    """
    models = (data_model_root or DATA) / "models"
    fitted = models / MODEL.name
    return models / SAMPLE_MODEL.name if use_sample or not fitted.exists() else fitted


def run_dir(run_dir: str | Path, random_seed: int, num_orgs: int) -> Path:
    """Return the folder of a run: the one given, or ``runs/<random_seed>-<num_orgs>`` when empty.

    Examples
    --------
    >>> run_dir("", 7, 25).name
    '7-25'
    """
    return Path(run_dir).resolve() if run_dir else RUNS / f"{random_seed}-{num_orgs}"
