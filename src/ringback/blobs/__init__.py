"""Where the bytes of files lie: a thin seam over obstore, which knows disks and object stores alike."""
