"""OneBot: a QQ of our own that dials in, and foreign servers that it dials to stay honest."""
