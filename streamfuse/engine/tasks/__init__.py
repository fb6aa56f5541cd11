"""What looks at the fused images: task networks, the backends that compute them, and checked results."""
