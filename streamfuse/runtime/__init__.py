"""The live pipeline: a plan made from the configuration, worker processes, and their supervisor."""
