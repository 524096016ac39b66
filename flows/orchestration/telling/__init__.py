"""What a user's Prefect server is told of a run beside its states: logs of tasks, and events."""
