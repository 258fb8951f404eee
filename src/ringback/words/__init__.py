"""Floor 0, words: errors, ids, signature, JSON. Pure; imports nothing of Ringback."""
