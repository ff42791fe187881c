"""What is written: one keyword-only function per use case."""
