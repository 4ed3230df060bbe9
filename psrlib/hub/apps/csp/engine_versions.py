"""Engine versions of release 4: which engines a deployment may ask for."""

import json
from functools import cache

from msgspec import Struct, field

from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import not_found
from psrlib.hub.web.records import Listed, Listing, Page
from psrlib.hub.web.routing import USER, App

app = App("provisioning")
BASE = "/provisioning/rest/v1/csp"
# engine type, version, Scala version, build: the hub's choice, of the form that real ones have
VERSIONS = (
    ("DC", "5.10.0", "", "RC3"),
    ("DC", "6.0.0", "", "RC2"),
    ("TF", "5.8.0", "2.12", "RC1"),
)
FILES = {"DC": ("sdc.properties", "sdc-log4j2.properties"), "TF": ("transformer.properties",)}
EVER = 1_700_000_000_000  # when they came, epoch milliseconds


class EngineVersionJson(Struct, rename="camel", kw_only=True):
    """A version of an engine."""

    id: str
    engine_type: str
    engine_version: str
    scala_binary_version: str | None
    build_number: str
    advanced_configuration: str
    stage_libs: str = "[]"
    download_url: str | None = None
    snapshot: bool = False
    disabled: bool = False
    default_java_version: int = 17
    supported_java_versions: str = "8,17"
    aws_image_id: str | None = None
    azure_image_id: str | None = None
    gcp_image_id: str | None = None
    feature_cloud_config_aws: int = field(default=0, name="featureCloudConfigAWS")
    feature_cloud_config_azure: int = field(default=0, name="featureCloudConfigAzure")
    feature_cloud_config_gcp: int = field(default=0, name="featureCloudConfigGCP")
    feature_java_versioning_aws: bool = field(default=False, name="featureJavaVersioningAWS")
    feature_java_versioning_azure: bool = field(default=False, name="featureJavaVersioningAzure")
    feature_java_versioning_gcp: bool = field(default=False, name="featureJavaVersioningGCP")
    creator: str = "admin@admin"
    create_time: int = EVER
    last_modified_by: str = "admin@admin"
    last_modified_on: int = EVER


@cache
def all_versions() -> dict[str, EngineVersionJson]:
    """Return the versions by their ids, ``<type>:<version>:<Scala version>:<build>``."""
    found = {}
    for kind, version, scala, build in VERSIONS:
        files = [{"fileName": name, "fileContent": f"# {name} of {version}\n"} for name in FILES[kind]]
        known = f"{kind}:{version}:{scala}:{build}"
        found[known] = EngineVersionJson(
            id=known,
            engine_type=kind,
            engine_version=version,
            scala_binary_version=scala or None,
            build_number=build,
            advanced_configuration=json.dumps(files),
        )
    return found


def fetch_version(engine_version: str | None) -> EngineVersionJson:
    """Return a version; 404 for one that there is not."""
    found = all_versions().get(engine_version or "")
    if found is None:
        raise not_found("Engine version", engine_version or "")
    return found


class VersionFinding(Listing):
    """Which versions a listing is about."""

    engine_type: str | None = None
    with_total_count: bool = False


@app.route(
    "GET",
    f"{BASE}/engineVersions",
    USER,
    release=4,
    choice="a few released ones that the hub makes up, all allowed",
)
def list_versions(
    call: Call, finding: VersionFinding, disabled_filter: str | None = None
) -> Listed[EngineVersionJson]:
    """List engine versions; wrapped when withTotalCount is true."""
    found = [
        version
        for version in all_versions().values()
        if finding.engine_type in (None, version.engine_type) and disabled_filter != "ONLY_DISABLED"
    ]
    part = call.slice(finding, found)
    if finding.with_total_count or finding.with_wrapper:
        return Page(len(found), max(finding.offset, 0), finding.length, part)
    return part


@app.route("GET", f"{BASE}/engineVersion/{{version}}", USER, release=4)
def get_version(call: Call, version: str) -> EngineVersionJson:
    """Return an engine version."""
    return fetch_version(version)
