"""Registration from the scene itself: two cameras laid over each other by what both see, without a board."""
