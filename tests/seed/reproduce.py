"""Print digests of documents, on whatever interpreter and numpy runs this: lines of ``name digest``.

Run by ``test_reproducibility.py`` with the golden model's path; needs numpy, orjson and msgspec only.
"""

import hashlib
import sys

import orjson

from psrlib.model import NoiseModel
from psrlib.seed import create_seed, pipeline_definition, seed_sha256

DOCUMENTS = ((19071990, 10), (7, 25), (-1, 40))


def main() -> None:
    model = NoiseModel.load(sys.argv[1])
    for random_seed, num_orgs in DOCUMENTS:
        document = create_seed(model, random_seed, num_orgs)
        print(f"{random_seed}-{num_orgs} {seed_sha256(document)}")
    definitions = hashlib.sha256()
    for organization in document.organizations:
        for pipeline in organization.pipelines:
            for commit in range(1, pipeline.commits + 1):
                pair = pipeline_definition(document, organization, pipeline, commit)
                definitions.update(orjson.dumps(pair))
    print(f"definitions {definitions.hexdigest()}")


if __name__ == "__main__":
    main()
