"""`python -m voting_stream` is `voting-stream`."""

from voting_stream.cli import main

main()
