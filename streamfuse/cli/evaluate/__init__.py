"""``streamfuse evaluate``: how good results are. One file per kind of result."""
