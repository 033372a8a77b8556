"""The page of a survey that the app was started with."""
