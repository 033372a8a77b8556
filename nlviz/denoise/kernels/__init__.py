"""Non-local means on processors and GPUs."""
