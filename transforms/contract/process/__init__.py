"""Processes of steps: how they start, report, and end with their parent."""
