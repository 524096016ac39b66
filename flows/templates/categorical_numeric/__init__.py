"""Subscribers: two categories and two numbers on each row."""
