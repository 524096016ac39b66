"""The console: progress, failures and harmless text for a person."""
