"""A local stand-in for the Polychat API."""
