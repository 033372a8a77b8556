"""What both pages use."""
