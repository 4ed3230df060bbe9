"""Library definitions of production size, which Control Hub stores with every commit.

A commit published from a real engine carries the definitions and icons of the stages it uses: 540 to 576 kB in
the two public archives (pipeline-json, 1.2), ten times the pipeline itself. Their content is the vendor's; here
it is generated text of the same structure and size.
"""

import base64
import hashlib
from functools import cache

import orjson

from psrlib.client.wire import Json

SMALLEST_BYTES = 540_000
LARGEST_BYTES = 576_000
SIZES = 8  # different documents; every pipeline has one of them in all its commits
CONFIGS_PER_STAGE = 12
ICON_BYTES = 1_500


def library_definitions(name: str) -> Json:
    """Return library definitions for a pipeline, always the same for a name; JSON of 540 to 576 kB.

    Examples
    --------
    >>> size = len(orjson.dumps(library_definitions("orders to warehouse")))
    >>> SMALLEST_BYTES <= size <= LARGEST_BYTES
    True
    """
    return _of_size(hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % SIZES)


@cache
def _of_size(step: int) -> Json:
    wanted = SMALLEST_BYTES + (LARGEST_BYTES - SMALLEST_BYTES) * (2 * step + 1) // (2 * SIZES)
    stages: list[Json] = []
    icons: dict[str, str] = {}
    size = 0
    while size < wanted:
        number = len(stages)
        stage = _stage(number)
        stages.append(stage)
        icon = hashlib.shake_128(f"icon {number}".encode()).digest(ICON_BYTES)
        icons[stage["name"]] = base64.b64encode(icon).decode()
        size += len(orjson.dumps(stage)) + len(icons[stage["name"]]) + len(stage["name"]) + 6
    return {"schemaVersion": "1", "pipelineRules": [], "stages": stages, "stageIcons": icons}


def _stage(number: int) -> Json:
    return {
        "name": f"com_example_generated_stage_Stage{number:03d}",
        "type": ("SOURCE", "PROCESSOR", "TARGET")[number % 3],
        "version": str(1 + number % 7),
        "label": f"Generated stage {number}",
        "description": f"Stands for the definition of a stage; number {number}",
        "library": f"streamsets-datacollector-generated-{number % 5}-lib",
        "configDefinitions": [_config(number, position) for position in range(CONFIGS_PER_STAGE)],
        "errorStage": False,
        "producingEvents": number % 2 == 0,
    }


def _config(stage: int, position: int) -> Json:
    return {
        "name": f"conf.group{position % 4}.property{stage:03d}{position:02d}",
        "type": ("STRING", "NUMBER", "BOOLEAN", "MODEL")[position % 4],
        "label": f"Property {position}",
        "description": f"Value {position} of stage {stage}; evaluated when the pipeline starts, may use parameters",
        "required": position % 2 == 0,
        "defaultValue": str(stage * position),
        "group": f"GROUP_{position % 4}",
        "dependsOn": f"property{stage:03d}{max(0, position - 1):02d}",
        "triggeredByValues": [str(stage), str(position)],
        "evaluation": "EXPLICIT",
        "lines": 1,
        "mode": "text/plain",
    }
