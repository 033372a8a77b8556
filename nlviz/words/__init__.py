"""What is said, in sentences."""
