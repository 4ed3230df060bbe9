"""HTTP calls on a hub of release 4: populate against the vendor's SDK 7 itself, for the same entities.

Each fills an embedded hub of its own. Nobody is invited, all belongs to the credentials' users. Setting the
configuration and asking who the users are counts as ours; connecting does not count for the SDK. Exit
status 1 when the SDK needs fewer than ``LEAST_RATIO`` times as many. ``--quick``: fewer organizations.
"""

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from streamsets.sdk import ControlHub as VendorHub

from psrlib import paths
from psrlib.client import ControlHub, Credentials, load_credentials
from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.process.sign_up import sign_up
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import populate

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from support.sdk_populate import populate_with_sdk, record

RANDOM_SEED = 19071990
LEAST_RATIO = 6.0  # calls of the SDK over ours
SHOWN = 12  # paths that the SDK calls most


def call_sdk(document: SeedDocument, credentials: Credentials) -> Counter[str]:
    """Make all with the SDK and return its calls by method and path, without those of connecting."""
    calls: Counter[str] = Counter()
    for organization in document.organizations:
        credential = credentials.organizations[organization.id]
        sch = VendorHub(
            credential_id=credential.id,
            token=credential.token,
            aster_url=credentials.url,
            use_websocket_tunneling=False,
        )
        seen = record(sch)
        populate_with_sdk(sch, document, organization)
        calls.update(f"{one.method} {one.path}" for one in seen)
    return calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    n_organizations = 2 if parser.parse_args().quick else 10
    drawn = create_seed(NoiseModel.load(paths.default_model()), RANDOM_SEED, n_organizations)
    document = resolve_variables(drawn, {})
    names = {organization.id: organization.name for organization in document.organizations}
    with ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2)]
        known = []
        for folder in folders:
            stack.enter_context(start_hub(folder, release=4))
            known.append(load_credentials(sign_up(folder, names)))
        hub = stack.enter_context(ControlHub(known[0].url, credentials=known[0]))
        report = populate(document, hub, progress=False)
        assert not report.difference, report.left_frame()
        sdk = call_sdk(document, known[1])
    ours = hub.calls.total
    ratio = sdk.total() / ours
    print(pd.Series(dict(sdk.most_common(SHOWN)), name="calls of the SDK").to_string())
    print(
        f"\n{n_organizations} organizations, {sum(report.created.values())} entities: {ours} calls, the SDK "
        f"{sdk.total()}: {ratio:.1f} times (at least {LEAST_RATIO:g})"
    )
    return 0 if ratio >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
