"""What the tests of the whole pipeline share.

- `checker`: an independent checker of an election, which uses none of the project's packages
- `election`: a fresh election on a running stack, and how to run services on it
- `sample_ballots`: a small election with good and bad ballots, and the count that it must have
- `kill_points`, `consumer_faults`: a consumer that is killed or paused at a step of its loop
- `restart_policy`: services that are restarted whenever they end
- `other_database`: another database on the election's server
- `processes`: modules and demos that bring up a stack of their own, and what a child has logged
- `chromium`, `browser`: the installed Chromium, and a page of it
- `running_stream`: a stream that runs while a test looks at its totals
- `totals`: totals in the format of the stream, written without Spark
- `transactions`: Kafka transactions of other clients
- `operator_status`: what `voting status` shows
- `waiting`: waiting for a condition
- `paths`: where the project's files and console scripts are
"""
