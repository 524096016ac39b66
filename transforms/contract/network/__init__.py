"""The network as a user declares it: encoders, join and decoders."""
