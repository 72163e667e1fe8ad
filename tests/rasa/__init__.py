"""A live Rasa server, trained by `make rasa-model`."""
