"""Processes of heavy steps, here and on another machine."""
