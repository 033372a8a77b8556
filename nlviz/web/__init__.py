"""What the browser draws: the live view and the lens."""
