"""The transform graph: traced from the declaration, saved as a SavedModel."""
