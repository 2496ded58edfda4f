"""Other ways to do what a service does, as programs that count a given number of votes and end.

`one_by_one_*` handle one voter after the other, as services do that are written without a thought
of many voters. The others are stream processors that count the votes of each candidate; they run in
an environment of their own, which `requirements.txt` pins, because they need older Kafka clients
than this project.
"""
