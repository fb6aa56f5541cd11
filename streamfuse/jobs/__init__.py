"""What a command does when it is not a live run: fuse files, train, calibrate, evaluate, measure.

Each job is a function that takes a checked description and a callback for progress, and returns a
report; the command line asks, shows and sets the exit code.
"""
