"""Checking recordings: what each file holds, whether the files of a segment agree, and mending."""
