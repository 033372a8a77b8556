"""What can be said about an affinity beside looking at it."""
