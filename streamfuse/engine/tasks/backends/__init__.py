"""What runs a task network: one file per foreign runtime behind the protocol of ``base``."""
