"""The test platform at work: our adapters on one side, foreign software on the other."""
