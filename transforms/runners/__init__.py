"""Beam runners outside of this process: their job servers, and the workers that they start."""
