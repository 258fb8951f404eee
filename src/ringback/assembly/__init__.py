"""Floor 5, assembly: configuration, serve (the only module that knows everybody), command line."""
