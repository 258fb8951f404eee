"""Floor 1, rules: pure decisions. No I/O, no clock and no randomness of their own."""
