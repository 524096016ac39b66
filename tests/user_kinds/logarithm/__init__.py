"""A feature kind of a user's own that has no answer for some numbers: there is no log of -1."""
