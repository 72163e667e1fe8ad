"""What a message or a due time means: decisions, each inside one transaction, free of any transport."""
