"""The parts of the training of a detector."""
