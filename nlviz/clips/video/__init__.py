"""Frames of video files by number, in the order in which they are shown."""
