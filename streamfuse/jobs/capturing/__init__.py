"""A capture node from the inside: where its frames come from (``feed``), to whom they go (``audience``)."""
