"""The runtime that every Tulou service stands on. It knows calls, events, rows and keys, and no word of any domain."""
