"""One file or folder for each place where people write; `base` is what they have in common."""
