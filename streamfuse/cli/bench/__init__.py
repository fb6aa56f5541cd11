"""``streamfuse bench``: how fast this machine is."""
