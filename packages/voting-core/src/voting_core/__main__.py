"""`python -m voting_core` is `voting`."""

from voting_core.operator.cli import main

main()
