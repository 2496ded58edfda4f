"""Certified results as a bundle of files, and the verification of a bundle without the system.

`publish` writes a bundle from Kafka and a `database_snapshot`; `verify` recounts a bundle from its
files alone. The modules between them perform no other I/O:

* model: the data of the results
* vote_log: every vote that counts, one line each, and their totals
* nist, tables: the published formats
* manifest: the contents and the coverage of a bundle, with digests
* bundle: all files together
"""
