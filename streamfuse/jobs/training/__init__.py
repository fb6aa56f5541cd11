"""The parts of a training run: its file, its pairs, its checkpoint and its log."""
