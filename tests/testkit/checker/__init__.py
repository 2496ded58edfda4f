"""An independent checker: reads an election's topics and tables plainly and checks the count.

Nothing in this package uses the project's own packages, so an error of the services, or of the
library that they share, cannot hide itself.

- `kafka_topics`: reads topics
- `evidence`: the content of an election's topics and tables
- `consistency`: what must agree in every election, whatever was sent
- `exactly_once`: compares the count with its source and counts lost and duplicated ballots
- `results_file`: the votes of a results file, by plain arithmetic
"""
