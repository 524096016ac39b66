"""Checks of a workspace: which of its files are damaged."""
