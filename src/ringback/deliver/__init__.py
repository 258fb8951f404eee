"""Floor 3, deliver: claims lanes and POSTs signed events. Knows nothing of work/."""
