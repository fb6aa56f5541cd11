"""The examination of a machine: what streamfuse needs of it is tried, and a trouble comes with its remedy."""
