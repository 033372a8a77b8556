"""Which clips a survey looks at: from what a user names to a stream of items, and reading one."""
