"""Everything that touches the world: shared memory, sockets, cameras, files, web pages.

One foreign library a file; its errors become those of ``streamfuse.errors`` there. Decisions are made in
``streamfuse.core``, which this package feeds with values and times.
"""
