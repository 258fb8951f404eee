"""The sections of the configuration, a module each: the settings, and what no type can say of them."""
