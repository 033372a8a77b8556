"""What is measured of one clip: a network runs once, and each figure is read off its rows."""
