"""Settings, and every table that a deployment may change."""
