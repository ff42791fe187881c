"""The rules: no I/O, no protos, no tables; time is a parameter."""
