"""The live results page of the realtime voting system."""
