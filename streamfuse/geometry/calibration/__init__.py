"""From views of a board to cameras and the pose between them, with what is known of their uncertainty."""
