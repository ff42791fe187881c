"""What the approval service does: one keyword-only function for each use case, on a session the caller commits."""
