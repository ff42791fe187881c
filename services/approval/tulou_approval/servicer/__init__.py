"""The gRPC edge: guard, map in, call, map out."""
