"""Live cameras: each kind, the thread that opens one again for ever, and the list of what there is."""
