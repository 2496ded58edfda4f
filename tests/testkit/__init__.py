"""What the tests of the whole pipeline share.

- `checker`: an independent checker of an election, which uses none of the project's packages
- `election`: a fresh election on a running stack, and how to run services on it
- `sample_ballots`: a small election with good and bad ballots, and the count that it must have
- `kill_points`, `consumer_faults`: a consumer that is killed or paused at a step of its loop
- `restart_policy`: services that are restarted whenever they end
- `processes`: modules and demos that bring up a stack of their own
- `waiting`: waiting for a condition
- `paths`: where the project's files and console scripts are
"""
