"""Do the places that hold the votes agree, and is what differs merely on its way?"""

from voting_core.reconcile.census import take_census
from voting_core.reconcile.difference import Difference, Findings, differences
from voting_core.reconcile.run import Recount, reconcile
from voting_core.reconcile.verdict import InFlight, Reconciliation

__all__ = [
    "Difference",
    "Findings",
    "InFlight",
    "Reconciliation",
    "Recount",
    "differences",
    "reconcile",
    "take_census",
]
