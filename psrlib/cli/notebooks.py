"""``psr notebooks``: the notebooks of an installed kit, where they can be used."""

import shutil
from pathlib import Path

import click

from psrlib import paths
from psrlib.cli.options import FOLDER
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.errors import InputError


@click.command()
@click.argument("folder", type=FOLDER)
@OUTPUT
def notebooks(folder: Path) -> None:
    """Copy the notebooks to FOLDER, to open in JupyterLab or run with papermill; nothing is overwritten."""
    sources = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
    there = [source.name for source in sources if (folder / source.name).exists()]
    if there:
        raise InputError(f"{folder}: {', '.join(there)} exist already; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    names = [source.name for source in sources]
    say(f"{folder}: {', '.join(names)}")
    answer({"folder": folder, "notebooks": names})
