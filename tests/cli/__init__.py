"""The commands as a user starts them, one file of tests each or for a few small ones."""
