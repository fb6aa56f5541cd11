"""The live web page of a run: a server in a thread, pictures on demand, and who may see them."""
