"""Leases: who works on what in a bucket, by writes under a condition on what is there."""
