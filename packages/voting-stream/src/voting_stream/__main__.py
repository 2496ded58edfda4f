"""`python -m voting_stream` is `voting-stream`."""

from voting_stream.cli import main

if __name__ == "__main__":
    main()
