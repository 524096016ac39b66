"""Statistics of the training rows: counted, merged, frozen and compared."""
