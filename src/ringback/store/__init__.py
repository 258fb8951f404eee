"""Floor 2, store: the database seam, its queries and migrations, one module per noun."""
