"""Floor 2, net: connections that go only where the address rules allow."""
