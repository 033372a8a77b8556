"""The input in pixels: clips, pictures, places and detected objects."""
