"""What people use instead, measured under the same load: `make bench PEERS=1`."""
