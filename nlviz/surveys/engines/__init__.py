"""What runs the workers of a survey: this process, processes of this machine, or Ray."""
