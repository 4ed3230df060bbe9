"""Generated library definitions: the ballast that dominates the size of real published commits.

Two public Control Hub archives carry 540 to 576 kB of stage definitions and icons with each commit, ten times
the pipeline itself (pipeline-json, 1.2). ``--definition-size production`` adds as much, so that the tables of
a hub get the size they have in production. About half is text that compresses, half is icons that do not.
"""

import base64
import hashlib
from functools import cache

import orjson

from psrlib.seed.document import Organization, Pipeline, SeedDocument
from psrlib.seed.stages import BASIC, DEV, PREFIX, PROCESSORS, Json

SMALLEST, LARGEST = 540_000, 576_000  # bytes
N_STAGES = 26
N_CONFIGS = 20
ICONS = ("svg", "png")
GROUPS = ("GENERAL", "CONDITIONS", "CREDENTIALS", "DATA_FORMAT", "ADVANCED")
TYPES = ("STRING", "NUMBER", "BOOLEAN", "MODEL", "LIST", "MAP", "TEXT")


def library_definitions(document: SeedDocument, organization: Organization, pipeline: Pipeline) -> str:
    """Return the library definitions that all commits of a pipeline carry: 540,000 to 576,000 bytes of ASCII.

    Random seed, organization id and key fix the size of the JSON text.
    """
    name = f"{document.provenance.random_seed}/{organization.id}/{pipeline.key}/definitions".encode()
    number = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
    size = SMALLEST + number % (LARGEST - SMALLEST + 1)
    head, tail = _definitions(), '"}}'
    return head + _noise("last icon", LARGEST)[: size - len(head) - len(tail)] + tail


@cache
def _definitions() -> str:
    """Return all but the last icon, up to where its text begins."""
    processors = [(name, library, short, version) for name, (library, short, version), *_ in PROCESSORS]
    stages = [_stage(number, *processors[number % len(processors)]) for number in range(N_STAGES)]
    icons = {
        f"{stage['library']}:{stage['stageIcon']}": _noise(f"icon {number}", 2400)
        for number, stage in enumerate(stages)
    }
    document = {
        "schemaVersion": 1,
        "pipeline": [_stage(99, "Pipeline", BASIC, "pipeline", "1")],
        "stages": stages,
        "services": [],
        "rulesElMetadata": {},
        "elCatalog": {},
        "runtimeConfigs": [],
        "stageIcons": icons | {f"{DEV}:last.png": ""},
    }
    return orjson.dumps(document).decode().removesuffix('"}}')


@cache
def _noise(name: str, n: int) -> str:
    """Return ``n`` characters of base64 that do not compress, as images do not."""
    return base64.b64encode(hashlib.shake_128(name.encode()).digest(n)).decode()[:n]


def _stage(number: int, label: str, library: str, short: str, version: str) -> Json:
    return {
        "name": f"{PREFIX}{short}" if number < len(PROCESSORS) else f"{PREFIX}{short}_{number}",
        "type": "PROCESSOR",
        "library": library,
        "libraryLabel": "Basic" if library == BASIC else "Dev (for development only)",
        "version": version,
        "label": label,
        "description": f"Definition of {label}",
        "stageIcon": f"{label.lower()}_{number}.{ICONS[number % 2]}",
        "configDefinitions": [_config(label, position) for position in range(N_CONFIGS)],
        "configGroupDefinition": {"groupNameToLabelMap": {group: group.title() for group in GROUPS}},
        "executionModes": ["STANDALONE", "CLUSTER_BATCH", "CLUSTER_YARN_STREAMING"],
        "errorStage": False,
        "preconditions": True,
        "onRecordError": True,
        "producesEvents": False,
    }


def _config(label: str, position: int) -> Json:
    return {
        "name": f"conf.setting{position}",
        "fieldName": f"setting{position}",
        "type": TYPES[position % len(TYPES)],
        "label": f"{label} setting {position}",
        "description": f"Setting {position} of {label}; generated, so that a commit has its real size",
        "required": position % 3 == 0,
        "group": GROUPS[position % len(GROUPS)],
        "displayPosition": 10 * position,
        "displayMode": "BASIC" if position % 4 else "ADVANCED",
        "defaultValue": None,
        "dependsOn": "",
        "dependsOnMap": {},
        "evaluation": "IMPLICIT",
        "elFunctionDefinitions": [],
        "elConstantDefinitions": [],
        "min": -9223372036854775808,
        "max": 9223372036854775807,
        "lines": 0,
        "upload": "NO",
    }
