"""Print digests of documents, on whatever interpreter and numpy runs this: lines of ``model name digest``.

Run by ``tests/seed/test_reproducibility.py`` with the paths of models; needs numpy, orjson and msgspec only.
"""

import hashlib
import sys
from pathlib import Path

import orjson

from psrlib.model import NoiseModel
from psrlib.seed import create_seed, pipeline_definition, seed_sha256

DOCUMENTS = ((19071990, 10), (7, 25), (-1, 40))


def reproduce(path: Path) -> None:
    label = f"{path.parent.name}/{path.name}"
    model = NoiseModel.load(path)
    for random_seed, num_orgs in DOCUMENTS:
        document = create_seed(model, random_seed, num_orgs)
        print(f"{label} {random_seed}-{num_orgs} {seed_sha256(document)}")
    definitions = hashlib.sha256()
    for organization in document.organizations:
        for pipeline in organization.pipelines:
            for commit in range(1, pipeline.commits + 1):
                pair = pipeline_definition(document, organization, pipeline, commit)
                definitions.update(orjson.dumps(pair))
    print(f"{label} definitions {definitions.hexdigest()}")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        reproduce(Path(argument))
