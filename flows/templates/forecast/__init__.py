"""Daily temperatures: windows of 100 days to the temperature in 1, 3 and 7 days."""
