"""Comparing the data stores with votes; what is in flight is not a disagreement."""

from voting_core.operator.reconcile.differences import Difference, Findings
from voting_core.operator.reconcile.outcome import InFlight, Reconciliation
from voting_core.operator.reconcile.run import reconcile

__all__ = ["Difference", "Findings", "InFlight", "Reconciliation", "reconcile"]
