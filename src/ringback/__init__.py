"""Ringback: a self-hosted, Replicate-compatible predictions API with durable, signed webhooks."""

__version__ = "0.1.0"
