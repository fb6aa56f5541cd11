"""Networks as files for other runtimes: what is exported, how it is written, checked and described."""
