"""Tables of a seed document."""

import numpy as np
import pytest

from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed
from psrlib.seed.frames import DETAILS, drawn_and_model, owned_share, pipelines_frame


def test_a_row_per_pipeline(rich_seed: SeedDocument) -> None:
    """Nothing is lost, and the numbers are those of the records."""
    frame = pipelines_frame(rich_seed)
    pipelines = [p for organization in rich_seed.organizations for p in organization.pipelines]
    assert len(frame) == len(pipelines)
    assert frame["stages"].tolist() == [p.stages for p in pipelines]
    assert frame["parameters"].sum() == sum(len(p.parameters) for p in pipelines)


def test_the_busiest_users_own_more_than_their_share(rich_seed: SeedDocument) -> None:
    """The curve rises from nothing to everything and lies above the diagonal."""
    curve = owned_share(rich_seed)
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]
    assert (np.diff(curve["owned"], n=2) <= 1e-12).all()
    assert (curve["owned"] >= curve["users"] - 1e-12).all()


@pytest.mark.parametrize("detail", DETAILS)
def test_drawn_shares_follow_the_model(rich_model: NoiseModel, detail: str) -> None:
    """Both columns sum to one, and no share is off by more than six standard deviations of two samples."""
    document = create_seed(rich_model, 3, 150)
    shares = drawn_and_model(document, rich_model, detail)
    assert shares["drawn"].sum() == pytest.approx(1)
    assert shares["model"].sum() == pytest.approx(1, abs=1e-6)
    kind = DETAILS[detail][0]
    n = sum(len(getattr(organization, kind)) for organization in document.organizations) / 2
    tolerance = 6 * np.sqrt(shares["model"] * (1 - shares["model"]) / n) + 2 / n
    assert ((shares["drawn"] - shares["model"]).abs() <= tolerance).all()
