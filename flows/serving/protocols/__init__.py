"""The protocols in which requests come: their bodies, and their answers."""
