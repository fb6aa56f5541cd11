"""What each worker process does: one file per role, each with one ``run`` function."""
