"""Questions about the map on the screen; one is drawn at a time, below the panels."""
