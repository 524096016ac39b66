"""Commands: what each `braid ...` does and prints."""
