"""The report of a survey: every head over all clips, with intervals, labels and examples."""
