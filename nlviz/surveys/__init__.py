"""Surveys: what every head of a network does over many clips."""
