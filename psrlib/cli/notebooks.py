"""``psr notebooks``: the notebooks of an installed kit, where they can be used."""

import shutil
from pathlib import Path

import click

from psrlib import paths
from psrlib.errors import InputError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def notebooks(folder: Path) -> None:
    """Copy the notebooks to FOLDER, to open in JupyterLab or run with papermill; nothing is overwritten."""
    sources = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
    there = [source.name for source in sources if (folder / source.name).exists()]
    if there:
        raise InputError(f"{folder}: {', '.join(there)} exist already; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    click.echo(f"{folder}: {', '.join(source.name for source in sources)}")
