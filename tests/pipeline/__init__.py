"""The whole program on the experiments that ship with it."""
