"""The linear model of all columns: a baseline, and what the network's answers are blended with."""
