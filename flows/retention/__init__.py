"""Retention: what no run needs any more, and the lock under which it goes."""
