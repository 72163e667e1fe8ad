"""Text and context in, `Understanding` out. Knows no database and no transport."""
