"""Other ways to do what a service does, as programs that count a given number of votes and end.

`one_by_one_*` are in the manner of a well-known tutorial project: one voter after the other. The others
are stream processors that count the votes of each candidate; they run in an environment of their
own, which `requirements.txt` pins, because they need older Kafka clients than this project.
"""
