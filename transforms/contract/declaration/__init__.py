"""The declaration: one YAML document as one typed value."""
