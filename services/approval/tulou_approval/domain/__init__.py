"""The law and the rules of approval: no I/O, no protos, no tables, no clock reads."""
