"""Decisions without I/O: plain objects fed with values and times.

Nothing here opens, sleeps or asks for the time; every object is told ``now_ns`` and can be tested
as a story.
"""
