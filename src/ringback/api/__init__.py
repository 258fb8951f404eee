"""Floor 4, api: the HTTP API; one module per noun, and wire for the shapes."""
