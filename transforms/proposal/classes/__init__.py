"""The class of a column, such as a number or a category, from what is measured of it."""
