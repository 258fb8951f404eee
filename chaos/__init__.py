"""Kills the server again and again and checks what its receivers saw: `make chaos`."""
