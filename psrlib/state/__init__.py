"""Observe a hub, compare it with a seed document, bring it there: populate, start jobs, teardown."""

from psrlib.state.adoption import held
from psrlib.state.diff import Difference, Item, diff
from psrlib.state.engine_setup import setup_engines
from psrlib.state.estimate import Estimate, plan
from psrlib.state.guards import check_address
from psrlib.state.observe import observe
from psrlib.state.observed import ObservedEngine, ObservedJob, ObservedOrganization, ObservedState
from psrlib.state.plan_file import check_plan, save_plan
from psrlib.state.populate import PopulateReport, populate
from psrlib.state.rewrite import apply_rewrite
from psrlib.state.running import balance_jobs, start_jobs, wait_until_active
from psrlib.state.teardown import TeardownReport, teardown

__all__ = [
    "Difference",
    "Estimate",
    "Item",
    "ObservedEngine",
    "ObservedJob",
    "ObservedOrganization",
    "ObservedState",
    "PopulateReport",
    "TeardownReport",
    "apply_rewrite",
    "balance_jobs",
    "check_address",
    "check_plan",
    "diff",
    "held",
    "observe",
    "plan",
    "populate",
    "save_plan",
    "setup_engines",
    "start_jobs",
    "teardown",
    "wait_until_active",
]
