"""Do the places that hold the votes agree, and is what differs merely on its way?"""

from voting_core.operator.reconcile.difference import Difference, Findings
from voting_core.operator.reconcile.run import Recount, reconcile
from voting_core.operator.reconcile.verdict import InFlight, Reconciliation

__all__ = [
    "Difference",
    "Findings",
    "InFlight",
    "Reconciliation",
    "Recount",
    "reconcile",
]
