"""Serving a registered model over HTTP: `braid serve`."""
