"""Pages that guide through a calibration: moving a board before live cameras, and clicking point pairs."""
