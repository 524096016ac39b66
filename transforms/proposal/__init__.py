"""The declaration that is proposed for a table: what `braid init --from` writes."""
