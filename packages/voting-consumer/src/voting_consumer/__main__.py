"""`python -m voting_consumer` is `voting-consumer`."""

from voting_consumer.cli import main

main()
