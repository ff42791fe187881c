"""Between protos and what the service works with. Pure functions."""
