"""`python -m voting_consumer` is `voting-consumer`."""

from voting_consumer.cli import main

if __name__ == "__main__":
    main()
