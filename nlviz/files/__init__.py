"""Files on this machine, and files fetched to it."""
