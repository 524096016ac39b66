"""Rules that join several places of a declaration."""
