"""Between processes and machines: rings in shared memory, ZeroMQ, run folders, keys and codecs."""
