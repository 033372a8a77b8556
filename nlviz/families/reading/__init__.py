"""What families share: adapters, key layouts, flags, load reports."""
