"""What the configuration offers beside models: hardware and collections, as the API shows them."""

from ringback.api.service import Collection
from ringback.assembly.config import Config
from ringback.assembly.settings.hardware import CPU


def hardware(config: Config) -> dict[str, str]:
    """Give what models run on: by SKU, what a person calls it. There is always `cpu`."""
    return {CPU: "CPU"} | {sku: each.name or sku for sku, each in config.hardware.items()}


def collections(config: Config) -> list[Collection]:
    """Give the collections in the order of the configuration."""
    return [
        Collection(
            slug, each.name or slug, each.description, each.full_description or None, tuple(each.models)
        )
        for slug, each in config.collections.items()
    ]
