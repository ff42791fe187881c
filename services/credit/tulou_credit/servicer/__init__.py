"""The gRPC edge: map in, call, map out. The guards have checked role and fields before."""
