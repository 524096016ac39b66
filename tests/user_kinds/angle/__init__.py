"""A feature kind of a user's own: a direction, for which 359 degrees are close to 1."""
