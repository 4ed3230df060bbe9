"""Small pieces of JSON text: what a code stands for."""

import json

from psrlib.seed.texts import (
    LABEL_LISTS,
    NUMBERED,
    OVERRIDE_MAPS,
    PAIR,
    PARAMETER_MAPS,
    QUALIFIED,
    RUNS,
    USES,
)
from psrlib.seed.vocabulary import LABELS, PARAMETERS


def test_neighbours_go_around() -> None:
    """A list that starts at the last word continues with the first."""
    code = (len(LABELS) - 1) << 12 | 2
    assert json.loads(LABEL_LISTS[code]) == [LABELS[-1], LABELS[0]]
    assert LABEL_LISTS[0] == "[]"


def test_labels_are_never_repeated() -> None:
    """Asked for more labels than there are, a pipeline gets each once."""
    assert sorted(json.loads(LABEL_LISTS[5 << 12 | 100])) == sorted(LABELS)


def test_parameters_beyond_the_words_get_numbers() -> None:
    """A pipeline can have more parameters than there are names."""
    n = 2 * len(PARAMETERS) + 3
    assert len(json.loads(PARAMETER_MAPS[n])) == n


def test_a_job_overrides_the_first_parameter_with_another_value() -> None:
    """Name as in the pipeline, value not."""
    code = 3 << 12 | 4
    (name, value), *_ = json.loads(PARAMETER_MAPS[code]).items()
    assert list(json.loads(OVERRIDE_MAPS[code])) == [name]
    assert json.loads(OVERRIDE_MAPS[code])[name] != value
    assert OVERRIDE_MAPS[0] == "{}"


def test_names_are_told_apart() -> None:
    """The first of a kind has nothing behind its name; no two ranks share a suffix."""
    for texts in (QUALIFIED, NUMBERED):
        assert texts[0] == ""
        assert len({texts[rank] for rank in range(200)}) == 200


def test_pairs_hold_two_numbers() -> None:
    """Fragment and connection, or tags, instances and status, in one look-up."""
    assert json.loads("{" + USES[0] + "}") == {"fragment": None, "connection": None}
    assert json.loads("{" + USES[3 * PAIR + 12] + "}") == {
        "fragment": "fragment-0003",
        "connection": "connection-0012",
    }
    run = json.loads("{" + RUNS[((2 << 12 | 1) * PAIR + 5) * 2 + 1] + "}")
    assert (run["status"], run["instances"], len(run["tags"])) == ("ACTIVE", 5, 1)
