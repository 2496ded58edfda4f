"""What the voting services share: models, wire format, topics, tables and settings."""
