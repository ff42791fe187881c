"""What every city service must agree on: working calendar, divisions, identifiers, durations, dated rule sets."""
