"""Edges and processes: the web application, channels, ingest, worker, sender, scheduler, command line."""
