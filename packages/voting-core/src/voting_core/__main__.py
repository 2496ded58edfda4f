"""`python -m voting_core` is `voting`."""

from voting_core.cli import main

main()
