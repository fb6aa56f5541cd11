"""The recorder: segments of video with an index, clips of events, and what it does when the disk is full.

Each track has one encoder that never stops (``tracks``); its packets (``reel``) go into the files of a
segment (``segment``, ``index``) and into the clips of events (``clips``). ``disk`` makes room, ``finisher``
closes files beside the stream, and ``recorder`` puts it all together.
"""
