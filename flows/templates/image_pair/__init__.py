"""Plants: two photos on each row, by path."""
