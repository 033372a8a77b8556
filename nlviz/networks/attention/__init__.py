"""The capture engine: every attention product of a forward pass, whoever wrote it."""
