"""Results of an election as a bundle of files, and checking such a bundle without the system.

`publish` writes a bundle from Kafka and a `snapshot` of PostgreSQL, `verify` recounts one from
nothing but its files. What lies between them needs neither:

* model: what the results are made of;
* vote_log: every vote that counts, one line each, and their tally;
* nist, tables: the results in the formats in which they are published;
* manifest: what the bundle holds and covers, with a digest of everything;
* bundle: the files together.
"""
