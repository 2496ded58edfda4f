"""`python -m voting_producer` is `voting-producer`."""

from voting_producer.cli import main

if __name__ == "__main__":
    main()
