"""Pictures: from encoded bytes to pixels, or a reason why not."""
