"""Scenes: a color picture and a depth map on each row, to a mask and a better depth map."""
