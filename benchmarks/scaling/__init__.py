"""How fast each stage counts with more and more of it, and how much of it an election needs."""
