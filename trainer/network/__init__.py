"""The network: branches, their join, and heads, with losses and scores."""
