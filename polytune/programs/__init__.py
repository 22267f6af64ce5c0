"""Programs that users write, such as judges and rewards: what they read, and what of it is part of a key."""
