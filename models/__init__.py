"""Tables, the queries on them, and their migrations."""
